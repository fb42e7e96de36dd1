/** Volumes: by name and without, filled from the image, taken from other containers, removed with theirs. */

import { describe, expect, test } from "bun:test";
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { getXattr, setXattr } from "../../src/linux/xattr.ts";
import { leavesNothingBehind, useEngine } from "../helpers/cli.ts";
import { program, testIf } from "../helpers/requires.ts";
import { archive, type Member } from "../helpers/tar_builder.ts";

const engine = useEngine({
  before: async () => {
    await importImage("filled", FILES, "VOLUME /data");
    await ok("volume", "create", "before");
    await ok("volume", "rm", "before");
  },
});

async function ok(...args: string[]): Promise<string> {
  const { exitCode, out, err } = await engine.call(args);
  expect([args.join(" "), exitCode, err]).toEqual([args.join(" "), 0, ""]);
  return out;
}

const data = (name: string, ...below: string[]): string =>
  join(engine.root, "volumes", name, "_data", ...below);
const volumes = async (): Promise<string[]> =>
  (await ok("volume", "ls", "-q")).split("\n").filter(Boolean);

/** An image of busybox and further files. */
async function importImage(name: string, members: readonly Member[], ...changes: string[]) {
  const busybox = readFileSync("/bin/busybox");
  const file = join(engine.directory("archives"), `${name}.tar`);
  writeFileSync(
    file,
    archive(
      { name: "bin/", type: "5", mode: 0o755 },
      { name: "bin/busybox", data: busybox, mode: 0o755 },
      { name: "bin/sh", type: "2", link: "busybox" },
      ...members,
    ),
  );
  await ok("import", ...changes.flatMap((change) => ["-c", change]), file, name);
}

const FILES: Member[] = [
  { name: "data/", type: "5", mode: 0o2750, uid: 12, gid: 34, mtime: 1_600_000_000 },
  { name: "data/plain", data: "hello\n", mode: 0o640, uid: 1, gid: 2, mtime: 1_500_000_000 },
  { name: "data/setuid", data: "x", mode: 0o4755, uid: 3, gid: 4 },
  { name: "data/hard", type: "1", link: "data/plain" },
  { name: "data/link", type: "2", link: "/etc/../plain", uid: 5, gid: 6 },
  { name: "data/sub/", type: "5", mode: 0o700, uid: 7, gid: 8, mtime: 1_400_000_000 },
  { name: "data/sub/hard", type: "1", link: "data/plain" },
  { name: "data/sub/a\nb\xff", data: "odd" },
  { name: "data/pipe", type: "6", mode: 0o622 },
];

describe("a volume", () => {
  test("is made, listed, inspected and removed as in Docker", async () => {
    const made = ["volume", "create", "--label", "a=b", "--label", "c", "first"];
    expect(await ok(...made)).toBe("first");
    expect(await ok("volume", "create", "first")).toBe("first"); // it is there
    expect(await ok("volume", "ls")).toBe("DRIVER    VOLUME NAME\nlocal     first");
    const [shown] = JSON.parse(await ok("volume", "inspect", "first"));
    expect(shown).toEqual({
      CreatedAt: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/),
      Driver: "local",
      Labels: { a: "b", c: "" },
      Mountpoint: data("first"),
      Name: "first",
      Options: null,
      Scope: "local",
    });
    expect(await ok("volume", "inspect", "-f", "{{.Name}} {{.Driver}}", "first")).toBe(
      "first local",
    );
    expect(await ok("volume", "ls", "--format", "{{.Name}}:{{.Labels}}")).toBe("first:a=b,c=");
    expect(await ok("volume", "rm", "first")).toBe("first");
    expect(await volumes()).toEqual([]);
  });

  test("without a name gets one of 64 digits, and is marked so", async () => {
    const name = await ok("volume", "create");
    expect(name).toMatch(/^[0-9a-f]{64}$/);
    const labels = await ok("volume", "inspect", "-f", "{{json .Labels}}", name);
    expect(JSON.parse(labels)).toEqual({ "com.docker.volume.anonymous": "" });
    await ok("volume", "rm", name);
  });

  test("that is not there, or cannot be, is one line", async () => {
    const cases: [args: string[], exitCode: number, out: string, err: string][] = [
      [["inspect", "none"], 1, "[]", "mydocker: get none: no such volume"],
      [["rm", "none"], 1, "", "mydocker: get none: no such volume"],
      [["rm", "-f", "none"], 0, "none", ""],
      [["rm", "-f", "../names"], 0, "../names", ""],
      [["rm", "../names"], 1, "", "mydocker: get ../names: no such volume"],
      [
        ["create", "x"],
        1,
        "",
        "mydocker: create x: volume name is too short, names should be at least two alphanumeric characters",
      ],
    ];
    for (const [args, exitCode, out, err] of cases) {
      const result = await engine.call(["volume", ...args]);
      expect([args, result.exitCode, result.out, result.err]).toEqual([args, exitCode, out, err]);
    }
    for (const name of ["..", "a/b", "a\nb", ".tmp", "-x", "é", "a".repeat(256)]) {
      const { exitCode, err } = await engine.call(["volume", "create", "--", name]);
      expect([name, exitCode]).toEqual([name, 1]);
      expect(err.split("\n")).toHaveLength(1);
    }
    expect(await volumes()).toEqual([]);
  });

  test("is listed by name, label and whether it is used", async () => {
    await ok("volume", "create", "--label", "kind=x", "alpha");
    await ok("volume", "create", "--label", "kind=y", "beta");
    await ok("create", "--name", "user", "-v", "beta:/b", "busybox", "true");
    const listed = async (...filters: string[]) =>
      (await ok("volume", "ls", "-q", ...filters.flatMap((each) => ["-f", each]))).split("\n");
    expect(await listed("name=alp")).toEqual(["alpha"]);
    expect(await listed("name=a")).toEqual(["alpha", "beta"]);
    expect(await listed("label=kind")).toEqual(["alpha", "beta"]);
    expect(await listed("label=kind=y")).toEqual(["beta"]);
    expect(await listed("dangling=true")).toEqual(["alpha"]);
    expect(await listed("dangling=0")).toEqual(["beta"]);
    expect(await listed("driver=local", "name=beta")).toEqual(["beta"]);
    expect(await listed("driver=nfs")).toEqual([""]);
    const unknown = await engine.call(["volume", "ls", "-f", "size=1"]);
    expect([unknown.exitCode, unknown.err]).toEqual([1, "mydocker: invalid filter 'size'"]);
    await ok("rm", "user");
    await ok("volume", "rm", "alpha", "beta");
  });

  test("that a container has is not removed, by force neither", async () => {
    const id = await ok("create", "--name", "holder", "-v", "held:/x", "busybox", "true");
    for (const force of [[], ["-f"]]) {
      const { exitCode, out, err } = await engine.call(["volume", "rm", ...force, "held"]);
      expect([exitCode, out]).toEqual([1, ""]);
      expect(err).toBe(`mydocker: remove held: volume is in use - [${id}]`);
    }
    await ok("rm", "-v", "holder");
    expect(await volumes()).toEqual(["held"]);
    await ok("volume", "rm", "held");
  });

  test("keeps what is written into it, and is there again for the next container", async () => {
    await ok("run", "--rm", "-v", "kept:/x", "busybox", "sh", "-c", "echo one > /x/file");
    expect(await ok("run", "--rm", "-v", "kept:/y:ro", "busybox", "cat", "/y/file")).toBe("one");
    const { exitCode, err } = await engine.run(["-v", "kept:/y:ro", "busybox", "touch", "/y/z"]);
    expect(exitCode).toBe(1);
    expect(err).toContain("Read-only file system");
    const mount = "type=volume,src=kept,dst=/z,readonly";
    expect(await ok("run", "--rm", "--mount", mount, "busybox", "cat", "/z/file")).toBe("one");
    await ok("volume", "rm", "kept");
  });

  test("of which a part is mounted", async () => {
    await ok(
      "run",
      "--rm",
      "-v",
      "parts:/x",
      "busybox",
      "sh",
      "-c",
      "mkdir -p /x/a/b; echo in > /x/a/b/c; ln -s /a/b /x/abs; ln -s ../../.. /x/out",
    );
    const at = (subpath: string) => `src=parts,dst=/z,volume-subpath=${subpath}`;
    expect(await ok("run", "--rm", "--mount", at("a/b"), "busybox", "cat", "/z/c")).toBe("in");
    // Links in it end inside of it.
    expect(await ok("run", "--rm", "--mount", at("abs"), "busybox", "ls", "/z")).toBe("c");
    expect(await ok("run", "--rm", "--mount", at("out"), "busybox", "ls", "/z")).toBe(
      "a\nabs\nout",
    );
    expect(await ok("run", "--rm", "--mount", at("a/b/c"), "busybox", "cat", "/z")).toBe("in");
    const missing = await engine.run(["--mount", at("no/such"), "busybox", "true"]);
    expect(missing.exitCode).toBe(125);
    expect(missing.err).toContain("no/such of volume parts on /z: no such file or directory");
    const mapped = ["--userns", "private", "--mount", at("a"), "busybox", "cat", "/z/b/c"];
    expect(await ok("run", "--rm", ...mapped)).toBe("in");
    await ok("volume", "rm", "parts");
  });

  test("has the same ids in containers with user namespaces of their own", async () => {
    for (const each of ["one", "two"]) {
      const write = `stat -c %u:%g /x/last 2>/dev/null; touch /x/last; chown 5:6 /x/last; touch /x/${each}`;
      const out = await ok(
        "run",
        "--rm",
        "--userns",
        "private",
        "-v",
        "ids:/x",
        "busybox",
        "sh",
        "-c",
        write,
      );
      expect(out).toBe(each === "one" ? "" : "5:6");
    }
    expect(statSync(data("ids", "last")).uid).toBe(5);
    expect(statSync(data("ids", "two")).uid).toBe(0);
    await ok("volume", "rm", "ids");
  });
});

describe("an empty volume", () => {
  test("is filled from the image, with owners, modes, links and times", async () => {
    await ok("run", "--rm", "-v", "copied:/data", "filled", "/bin/busybox", "true");
    const at = (...below: string[]) => lstatSync(data("copied", ...below));
    const facts = (...below: string[]) => {
      const { mode, uid, gid, mtimeMs } = at(...below);
      return [(mode & 0o7777).toString(8), uid, gid, mtimeMs / 1000];
    };
    expect(facts()).toEqual(["2750", 12, 34, 1_600_000_000]);
    expect(facts("plain")).toEqual(["640", 1, 2, 1_500_000_000]);
    expect(facts("setuid").slice(0, 3)).toEqual(["4755", 3, 4]);
    expect(facts("sub")).toEqual(["700", 7, 8, 1_400_000_000]);
    expect([at("link").uid, at("link").gid, readlinkSync(data("copied", "link"))]).toEqual([
      5,
      6,
      "/etc/../plain",
    ]);
    expect(at("pipe").isFIFO()).toBe(true);
    expect((at("pipe").mode & 0o777).toString(8)).toBe("622");
    expect([at("plain").ino, at("plain").nlink]).toEqual([at("sub", "hard").ino, 3]);
    const layer = join(engine.root, "images/layers");
    const images = readdirSync(layer).map((each) => join(layer, each, "diff/data/plain"));
    const own = images.filter((each) => existsSync(each)).map((each) => statSync(each).ino);
    expect(own).not.toContain(at("plain").ino);
    expect(readFileSync(data("copied", "plain"), "utf8")).toBe("hello\n");
    await ok("volume", "rm", "copied");
  });

  test("is filled with extended attributes and holes", async () => {
    const tree = engine.directory("tree");
    mkdirSync(join(tree, "bin"), { recursive: true });
    mkdirSync(join(tree, "x"));
    writeFileSync(join(tree, "bin/sh"), readFileSync("/bin/busybox"));
    chmodSync(join(tree, "bin/sh"), 0o755);
    const sparse = Bun.spawnSync([
      "sh",
      "-c",
      `truncate -s 64M ${tree}/x/sparse; printf end >> ${tree}/x/sparse`,
    ]);
    expect(sparse.exitCode).toBe(0);
    const capability = Uint8Array.from([
      1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    ]);
    setXattr(join(tree, "x/sparse"), "security.capability", capability);
    setXattr(join(tree, "x"), "trusted.mine", Uint8Array.of(7));
    await ok("run", "--rm", "-v", "sparse:/x", "--rootfs", tree, "/bin/sh", "-c", ":");
    const copy = statSync(data("sparse", "sparse"));
    expect(copy.size).toBe(64 * 1024 * 1024 + 3);
    expect(copy.blocks).toBeLessThan(64);
    expect(getXattr(data("sparse", "sparse"), "security.capability")).toEqual(capability);
    expect(getXattr(data("sparse"), "trusted.mine")).toEqual(Uint8Array.of(7));
    await ok("volume", "rm", "sparse");
  });

  test("is not filled with nocopy, nor one that has something, nor by volumes-from", async () => {
    await ok("run", "--rm", "-v", "bare:/data:nocopy", "filled", "/bin/busybox", "true");
    const mount = "src=bare,dst=/data,volume-nocopy";
    await ok("run", "--rm", "--mount", mount, "filled", "/bin/busybox", "true");
    expect(readdirSync(data("bare"))).toEqual([]);
    expect((statSync(data("bare")).mode & 0o7777).toString(8)).toBe("755");
    writeFileSync(data("bare", "mine"), "");
    await ok("run", "--rm", "-v", "bare:/data", "filled", "/bin/busybox", "true");
    expect(readdirSync(data("bare"))).toEqual(["mine"]);
    await ok("volume", "rm", "bare");
  });

  test("is filled when the container is created, for others that run to see", async () => {
    await ok("run", "-d", "--name", "early", "-v", "late:/seen", "busybox", "sleep", "60");
    await ok("create", "--name", "filler", "-v", "late:/data", "filled", "/bin/busybox", "true");
    expect(await ok("exec", "early", "cat", "/seen/plain")).toBe("hello");
    await ok("rm", "-f", "early", "filler");
    await ok("volume", "rm", "late");
  });

  test("gets nothing from outside of the image, whatever links lead there", async () => {
    const outside = engine.directory("outside");
    writeFileSync(join(outside, "secret"), "of the host");
    const tree = engine.directory("links");
    mkdirSync(join(tree, "bin"), { recursive: true });
    writeFileSync(join(tree, "bin/sh"), readFileSync("/bin/busybox"));
    chmodSync(join(tree, "bin/sh"), 0o755);
    symlinkSync(outside, join(tree, "absolute"));
    symlinkSync("../../../../../../../../../../etc", join(tree, "up"));
    symlinkSync("/proc/self/root", join(tree, "magic"));
    mkdirSync(join(tree, "holder"));
    symlinkSync(join(outside, "secret"), join(tree, "holder/file"));
    const run = async (target: string) => {
      await engine.run(["-v", `canary:${target}`, "--rootfs", tree, "/bin/sh", "-c", ":"]);
      const found = readdirSync(data("canary")).sort();
      for (const each of found) expect(lstatSync(data("canary", each)).size).toBeLessThan(100);
      await ok("volume", "rm", "canary");
      return found;
    };
    expect(await run("/absolute")).toEqual([]);
    // Where the image has no such directory: what the container's own files are mounted on, empty.
    expect(await run("/up")).toEqual(["hostname", "hosts", "resolv.conf"]);
    expect(await run("/magic")).toEqual([]);
    expect(await run("/magic/etc")).toEqual([]);
    expect(await run("/holder")).toEqual(["file"]); // the link, not what it leads to
    expect(readdirSync(outside)).toEqual(["secret"]);
  });
});

describe("a volume without a name", () => {
  test("is had for each VOLUME of the image and each -v /path, unless something is mounted there", async () => {
    const mounts = async (...options: string[]) => {
      await ok("create", "--name", "own", ...options, "filled", "/bin/busybox", "true");
      const shown: { Type: string; Name: string; Destination: string; RW: boolean }[] = JSON.parse(
        await ok("inspect", "-f", "{{json .Mounts}}", "own"),
      );
      await ok("rm", "-v", "own");
      return shown.map(({ Type, Name, Destination }) => [
        Type,
        Name === undefined ? "" : Name.replace(/^[0-9a-f]{64}$/, "ID"),
        Destination,
      ]);
    };
    expect(await mounts()).toEqual([["volume", "ID", "/data"]]);
    expect(await mounts("-v", "/other")).toEqual([
      ["volume", "ID", "/other"],
      ["volume", "ID", "/data"],
    ]);
    expect(await mounts("-v", "named:/data/")).toEqual([["volume", "named", "/data"]]);
    expect(await mounts("--tmpfs", "/data")).toEqual([]); // in HostConfig.Tmpfs, as in Docker
    expect(await volumes()).toEqual(["named"]);
    await ok("volume", "rm", "named");
  });

  test("goes with run --rm and rm -v, and stays otherwise", async () => {
    await ok("run", "--rm", "filled", "/bin/busybox", "true");
    await ok("run", "--rm", "-v", "/x", "-v", "named:/y", "busybox", "true");
    expect(await volumes()).toEqual(["named"]);
    await ok("run", "-d", "--rm", "--name", "back", "-v", "/x", "busybox", "true");
    await engine.call(["wait", "back"]);
    await engine.bash(
      `for i in $(seq 100); do "$MYDOCKER" inspect back >/dev/null 2>&1 || exit 0; sleep 0.05; done; exit 1`,
    );
    expect(await volumes()).toEqual(["named"]);
    await ok("run", "--name", "left", "-v", "/x", "busybox", "touch", "/x/file");
    await ok("rm", "left");
    const [left = ""] = (await volumes()).filter((name) => name !== "named");
    expect(readdirSync(data(left))).toEqual(["file"]);
    await ok("run", "-d", "--name", "gone", "-v", "/x", "busybox", "sleep", "60");
    await ok("rm", "-f", "-v", "gone");
    expect((await volumes()).sort()).toEqual([left, "named"].sort());
    await ok("volume", "rm", left, "named");
  });

  test("is not left by a container that does not start", async () => {
    const { exitCode } = await engine.call(["run", "-v", "/x", "busybox", "no-such-command"]);
    expect(exitCode).toBe(127);
    const twice = ["create", "--name", "bad", "-v", "/x", "filled", "true"];
    await ok(...twice);
    expect((await engine.call(twice)).exitCode).toBe(1);
    await ok("rm", "-v", "bad");
    expect(await volumes()).toEqual([]);
  });
});

describe("--volumes-from", () => {
  test("mounts what another container does, read-only if asked for, and not what is in memory", async () => {
    const folder = engine.directory("bound");
    const options = [
      "-v",
      "/own",
      "-v",
      "named:/named",
      "-v",
      `${folder}:/bound:ro`,
      "--tmpfs",
      "/t",
    ];
    await ok("run", "--name", "giver", ...options, "busybox", "touch", "/own/a", "/named/b");
    const list = ["sh", "-c", "ls /own /named; touch /own/c /named/d && ls -d /bound; ls -d /t"];
    const taken = await engine.run(["--volumes-from", "giver", "busybox", ...list]);
    expect(taken.out).toBe("/named:\nb\n\n/own:\na\n/bound");
    expect(taken.err).toContain("/t: No such file");
    const readonly = await engine.run(["--volumes-from", "giver:ro", "busybox", ...list]);
    expect(readonly.err).toContain("/own/c: Read-only file system");
    // What was asked for goes before it.
    const over = ["--volumes-from", "giver", "-v", "other:/own", "busybox", "ls", "/own"];
    expect(await ok("run", "--rm", ...over)).toBe("");
    const none = await engine.run(["--volumes-from", "nobody", "busybox", "true"]);
    expect([none.exitCode, none.err]).toEqual([125, "mydocker: No such container: nobody"]);
    const bad = await engine.run(["--volumes-from", "giver:shared", "busybox", "true"]);
    expect(bad.exitCode).toBe(125);
    await ok("rm", "-v", "giver");
    expect(await volumes()).toEqual(["named", "other"]);
    await ok("volume", "rm", "named", "other");
  });

  test("keeps a volume without a name until the last container that has it is removed", async () => {
    await ok("create", "--name", "giver", "-v", "/own", "busybox", "true");
    await ok("create", "--name", "taker", "--volumes-from", "giver", "busybox", "true");
    await ok("rm", "-v", "giver");
    expect(await volumes()).toHaveLength(1);
    await ok("rm", "-v", "taker");
    expect(await volumes()).toEqual([]);
  });
});

describe("many at once", () => {
  test("100 creations of one name make one volume", async () => {
    const script = `for i in $(seq 100); do "$MYDOCKER" volume create --label n=$i same & done; wait`;
    const { exitCode, out, err } = await engine.bash(script);
    expect([exitCode, err]).toEqual([0, ""]);
    expect(new Set(out.split("\n"))).toEqual(new Set(["same"]));
    expect(await volumes()).toEqual(["same"]);
    expect(existsSync(join(engine.root, "volumes/.tmp"))).toBe(false);
    await ok("volume", "rm", "same");
  });

  test("ten containers that are the first to use a volume fill it once, and all see all of it", async () => {
    const script = `for i in $(seq 10); do "$MYDOCKER" run --rm -v many:/data filled /bin/busybox sh -c '/bin/busybox ls /data | /bin/busybox wc -l' & done; wait`;
    const { exitCode, out, err } = await engine.bash(script);
    expect([exitCode, err]).toEqual([0, ""]);
    expect(out.split("\n")).toEqual(Array.from({ length: 10 }, () => "6"));
    await ok("volume", "rm", "many");
  });

  test("of a removal and a container's creation at once either wins, and the volume is whole", async () => {
    const script = `for i in $(seq 6); do
      "$MYDOCKER" volume create raced >/dev/null
      "$MYDOCKER" volume rm raced >/dev/null 2>&1 &
      "$MYDOCKER" run --rm -v raced:/data filled /bin/busybox cat /data/plain || echo failed
      wait
    done`;
    const { out, err } = await engine.bash(script);
    expect([out, err]).toEqual([Array.from({ length: 6 }, () => "hello").join("\n"), ""]);
    await engine.call(["volume", "rm", "-f", "raced"]);
  });
});

describe("a volume with options of the driver", () => {
  const create = (name: string, options: Readonly<Record<string, string>>) =>
    ok(
      "volume",
      "create",
      ...Object.entries(options).flatMap(([key, value]) => ["-o", `${key}=${value}`]),
      name,
    );
  const filled = (...args: string[]) =>
    ok(
      "run",
      "--rm",
      ...args.slice(0, -1),
      "filled",
      "/bin/busybox",
      "sh",
      "-c",
      `alias busybox=/bin/busybox; ${args.at(-1)}`,
    );

  test("is a tmpfs of each container's own, filled from the image unless told otherwise", async () => {
    await create("memory", { type: "tmpfs", device: "tmpfs", o: "size=1m,uid=7" });
    const script = "busybox grep ' /data ' /proc/mounts; busybox ls /data";
    const out = await filled("-v", "memory:/data", script);
    expect(out).toMatch(/^tmpfs \/data tmpfs rw,.*size=1024k,uid=7/);
    expect(out.split("\n")).toContain("plain");
    expect(await filled("-v", "memory:/data:nocopy,ro", script)).toMatch(
      /^tmpfs \/data tmpfs ro,.*$/,
    );
    await ok("volume", "rm", "memory");
  });

  test("is a directory of the host's, made by --mount as well", async () => {
    const folder = engine.directory("bound");
    writeFileSync(join(folder, "here"), "");
    await create("bound", { type: "none", device: folder, o: "bind" });
    expect(await filled("-v", "bound:/x", "busybox ls /x; >/x/there")).toBe("here");
    expect(readdirSync(folder).sort()).toEqual(["here", "there"]);
    const options = `volume-opt=type=none,volume-opt=device=${folder},"volume-opt=o=bind,ro"`;
    const mount = `type=volume,src=other,dst=/x,${options}`;
    expect(await filled("--mount", mount, "(>/x/new) 2>/dev/null || busybox echo ro")).toBe("ro");
    await ok("volume", "rm", "bound", "other");
    expect(readdirSync(folder).sort()).toEqual(["here", "there"]);
  });

  // The rules for devices of its cgroup are not for its volumes.
  testIf([program("losetup"), program("mke2fs")], "is on a block device", async () => {
    const image = join(engine.directory("disk"), "image");
    const script = `truncate -s 8M "$1"; mke2fs -q "$1"; losetup --find --show "$1"`;
    const device = (await engine.bash(script, { args: [image] })).out;
    try {
      expect(device).toStartWith("/dev/");
      await create("disk", { type: "ext2", device, o: "noatime" });
      await filled("-v", "disk:/disk", "echo kept >/disk/file");
      const look = "busybox cat /disk/file; busybox grep /disk /proc/mounts";
      expect(await filled("-v", "disk:/disk:ro", look)).toMatch(
        new RegExp(`^kept\n${device} /disk ext2 ro,.*noatime`),
      );
      await ok("volume", "rm", "disk");
    } finally {
      await engine.bash('losetup --detach "$1"', { args: [device] });
    }
  });

  test("that is nowhere, or no file system, is an error that names it", async () => {
    const cases: [options: Readonly<Record<string, string>>, words: string][] = [
      [
        { type: "none", device: "/no/such", o: "bind" },
        "mount /no/such on /x: no such file or directory",
      ],
      [
        { type: "none", device: "relative", o: "bind" },
        "the device of volume odd is no absolute path: relative",
      ],
      [{ type: "nonesuch", device: "x" }, "nonesuch"],
      [{ type: "tmpfs", device: "x", o: "what" }, "mount tmpfs on /x"],
    ];
    for (const [options, words] of cases) {
      await create("odd", options);
      const { exitCode, err } = await engine.run(["-v", "odd:/x", "busybox", "true"]);
      expect([exitCode, err]).toEqual([125, expect.stringContaining(words)]);
      await ok("volume", "rm", "odd");
    }
    const bad = await engine.call(["volume", "create", "-o", "size=1", "odd"]);
    expect(bad.err).toContain('invalid option: "size"');
  });
});

testIf([program("strace")], "a volume that is being removed is not a container's", async () => {
  await ok("run", "--rm", "-v", "slow:/data", "filled", "/bin/busybox", "true"); // it is full: nothing to wait for
  const slowly = [
    "strace",
    "-f",
    "-qq",
    "-o",
    "/dev/null",
    "-e",
    "inject=renameat:delay_enter=400000",
  ];
  const script = `${slowly.join(" ")} "$MYDOCKER" volume rm slow & sleep 0.25
    "$MYDOCKER" run --rm -v slow:/data filled /bin/busybox sh -c '/bin/busybox sleep 0.3; /bin/busybox cat /data/plain'; wait`;
  const { out, err } = await engine.bash(script);
  expect([out.split("\n").toSorted(), err]).toEqual([["hello", "slow"], ""]);
  await ok("volume", "rm", "slow");
});

describe("a damaged volume", () => {
  test("harms no other, and is removed by force only", async () => {
    await ok("volume", "create", "whole");
    await ok("volume", "create", "broken");
    writeFileSync(join(engine.root, "volumes/broken/volume.json"), "{");
    const listed = await engine.call(["volume", "ls", "-q"]);
    expect([listed.exitCode, listed.out]).toEqual([1, "whole"]);
    expect(listed.err).toContain("volumes/broken/volume.json is damaged: it is not JSON");
    expect((await engine.call(["volume", "rm", "broken"])).exitCode).toBe(1);
    expect(await ok("volume", "rm", "-f", "broken")).toBe("broken");
    expect(await volumes()).toEqual(["whole"]);
    await ok("volume", "rm", "whole");
  });
});

leavesNothingBehind(engine);
