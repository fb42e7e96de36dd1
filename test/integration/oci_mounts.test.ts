/** Mounts and devices of config.json as the OCI specification has them, on the kernel. */

import { afterAll, describe, expect, test } from "bun:test";
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { MountEntry, RootfsFacts, RootfsSpec } from "../../src/rootfs/plan.ts";
import { isUnified } from "../helpers/container_facts.ts";
import { program, root, testIf } from "../helpers/requires.ts";

const FIXTURE = join(import.meta.dir, "../fixtures/rootfs_apply.ts");
const base = mkdtempSync(join(tmpdir(), "mydocker-test-"));
afterAll(() => rmSync(base, { recursive: true, force: true }));

let count = 0;
function directory(name = "dir"): string {
  const path = join(base, `${name}${++count}`);
  mkdirSync(path);
  return path;
}

interface Options {
  readonly root?: string;
  readonly facts?: RootfsFacts;
  /** done in the new mount namespace first */
  readonly before?: string;
  /** done in another mount namespace, as if it were the host's, from which that one is made */
  readonly onHost?: string;
  /** what unshare(1) is called with */
  readonly unshare?: readonly string[];
}

/** Sets up a root, and runs a script in it. */
async function apply(spec: RootfsSpec, script: string, options: Options = {}) {
  const { facts, before = ":", onHost, unshare = ["-m"] } = options;
  const setup = JSON.stringify({ root: options.root ?? directory("root"), spec, facts, script });
  const shell = `${before}; exec "$0" "$1" "$2"`;
  const command = ["unshare", ...unshare, "sh", "-ec", shell, process.execPath, FIXTURE, setup];
  // Whoever mounted it stays, so that what was mounted has somebody to share it with.
  const host = ["unshare", "-m", "sh", "-ec", `${onHost}; "$@" || exit $?; exit 0`, "sh"];
  const child = Bun.spawn(onHost === undefined ? command : [...host, ...command], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const [out, err, exitCode] = await Promise.all([
    child.stdout.text(),
    child.stderr.text(),
    child.exited,
  ]);
  return { out: out.trimEnd(), err: err.trimEnd(), exitCode };
}

/** What a script prints that succeeds. */
async function output(spec: RootfsSpec, script: string, options?: Options): Promise<string> {
  const { out, err, exitCode } = await apply(spec, script, options);
  expect({ err, exitCode }).toEqual({ err: "", exitCode: 0 });
  return out;
}

async function refused(spec: RootfsSpec, options?: Options): Promise<string> {
  const { out, err, exitCode } = await apply(spec, "echo ran", options);
  expect({ out, exitCode }).toEqual({ out: "", exitCode: 125 });
  return err;
}

/** Mount options and optional fields (proc_pid_mountinfo(5)) of the last mount on `path` in the root. */
async function mountOf(path: string, mounts: readonly MountEntry[], options: Options = {}) {
  const script = `while read -r _ _ _ _ target options rest; do
    [ "$target" != "$PWD${path}" ] || last="$options \${rest%%- *}"
  done </proc/self/mountinfo; echo "$last"`;
  const [words = "", ...fields] = (await output({ mounts }, script, options)).split(" ");
  return { options: words.split(","), fields: fields.filter((field) => field !== "") };
}

const bind = (source: string, ...options: string[]): MountEntry => ({
  destination: "/m",
  source,
  options: ["bind", ...options],
});

const needs = [root(), program("unshare")];
const asRoot = (name: string, body: () => Promise<void>) => testIf(needs, name, body);

describe("attributes of a bind", () => {
  for (const option of ["ro", "nosuid", "nodev", "noexec", "nodiratime", "noatime"]) {
    asRoot(`${option} sets it`, async () => {
      expect((await mountOf("/m", [bind(directory(), option)])).options).toContain(option);
    });
  }

  asRoot("nosymfollow sets it, and links are not followed", async () => {
    const source = directory();
    symlinkSync("/", join(source, "link"));
    const { options } = await mountOf("/m", [bind(source, "nosymfollow")]);
    expect(options).toContain("nosymfollow");
    const { err } = await apply({ mounts: [bind(source, "nosymfollow")] }, "ls m/link/");
    expect(err).toContain("Too many levels of symbolic links");
  });

  asRoot("rw, suid, dev, exec, diratime and relatime take back what the source has", async () => {
    const source = directory();
    const before = `mount -t tmpfs -o ro,nosuid,nodev,noexec,nodiratime,noatime t ${source}`;
    const options = ["rw", "suid", "dev", "exec", "diratime", "relatime"];
    const kept = await mountOf("/m", [bind(source)], { before });
    expect(kept.options.toSorted()).toEqual(
      ["noatime", "nodev", "nodiratime", "noexec", "nosuid", "ro"].toSorted(),
    );
    expect((await mountOf("/m", [bind(source, ...options)], { before })).options).toEqual([
      "rw",
      "relatime",
    ]);
  });

  // MOUNT_ATTR_NOATIME without MOUNT_ATTR__ATIME in attr_clr is EINVAL (mount_setattr(2)).
  asRoot("access times are changed from any setting to any other", async () => {
    const source = directory();
    const settings = { noatime: ["noatime"], strictatime: [], relatime: ["relatime"] };
    for (const from of Object.keys(settings)) {
      const before = `mount -t tmpfs -o ${from} t ${source}`;
      for (const [to, words] of Object.entries(settings)) {
        const { options } = await mountOf("/m", [bind(source, to)], { before });
        expect(options.filter((word) => /atime/.test(word))).toEqual(words);
      }
    }
  });

  asRoot("ro is for the first mount, rro for all below", async () => {
    const source = directory();
    mkdirSync(join(source, "sub"));
    const before = `mount --bind ${source} ${source}; mount -t tmpfs t ${source}/sub`;
    const script = "for d in m m/sub; do touch $d/x 2>/dev/null && echo $d; done; true";
    const written = (...options: string[]) =>
      output({ mounts: [bind(source, "rbind", ...options)] }, script, { before });
    expect(await written()).toBe("m\nm/sub");
    expect(await written("ro")).toBe("m/sub");
    expect(await written("rro")).toBe("");
    expect(await written("ro", "rro")).toBe("");
    expect(await written("rro", "rrw")).toBe("m\nm/sub");
  });

  asRoot("every recursive one is known to the kernel", async () => {
    const source = directory();
    const words = ["ro", "nosuid", "nodev", "noexec", "nodiratime", "nosymfollow", "noatime"];
    const set = await mountOf("/m", [bind(source, "rbind", ...words.map((word) => `r${word}`))]);
    expect(set.options.toSorted()).toEqual(words.toSorted());
    const back = ["rrw", "rsuid", "rdev", "rexec", "rdiratime", "rsymfollow", "ratime"];
    const before = `mount -t tmpfs -o ${words.join(",")} t ${source}`;
    const cleared = await mountOf("/m", [bind(source, "rbind", ...back)], { before });
    expect(cleared.options).toEqual(["rw", "relatime"]);
    for (const [option, word] of [
      ["rstrictatime", "rw"],
      ["rnostrictatime", "relatime"],
      ["rrelatime", "relatime"],
      ["rnorelatime", "relatime"],
    ] as const) {
      const { options } = await mountOf("/m", [bind(source, "rbind", "noatime", option)]);
      expect(options.at(-1)).toBe(word);
    }
  });

  asRoot("a remount changes a bind that is there, and any other mount", async () => {
    const source = directory();
    const remount = (...options: string[]) => ({ destination: "/m", options });
    const bound = [bind(source), remount("remount", "bind", "ro", "noexec")];
    expect((await mountOf("/m", bound)).options).toEqual(["ro", "noexec", "relatime"]);
    const tmpfs = { destination: "/m", type: "tmpfs", source: "tmpfs" };
    const again = { destination: "/m", options: ["remount", "ro", "nosuid", "size=4k"] };
    expect((await mountOf("/m", [tmpfs, again])).options).toEqual(["ro", "nosuid", "relatime"]);
  });
});

describe("a file system of its own", () => {
  asRoot("takes the flags of the specification", async () => {
    const options = ["ro", "nosuid", "nodev", "noexec", "noatime", "nodiratime", "nosymfollow"];
    const others = ["sync", "dirsync", "lazytime", "silent", "loud", "mode=700"];
    const tmpfs = { destination: "/m", type: "tmpfs", options: [...options, ...others] };
    const mount = await mountOf("/m", [tmpfs]);
    expect(mount.options.toSorted()).toEqual(options.toSorted());
    const script = `grep " $PWD/m " /proc/self/mounts; stat -c %a m`;
    const text = await output({ mounts: [tmpfs] }, script);
    for (const word of ["sync", "dirsync", "lazytime", "700"]) expect(text).toContain(word);
  });

  for (const type of ["proc", "sysfs", "mqueue"]) {
    asRoot(`${type} is read-only with ro`, async () => {
      const mount = { destination: "/m", type, options: ["ro", "nosuid"] };
      expect((await mountOf("/m", [mount])).options.slice(0, 2)).toEqual(["ro", "nosuid"]);
    });
  }

  asRoot("gets what lay there by tmpcopyup, with owners, modes, links and devices", async () => {
    const rootfs = directory("root");
    mkdirSync(join(rootfs, "m/sub"), { recursive: true });
    chmodSync(join(rootfs, "m"), 0o751);
    writeFileSync(join(rootfs, "m/sub/file"), "x".repeat(100_000));
    chownSync(join(rootfs, "m/sub/file"), 5, 6);
    chmodSync(join(rootfs, "m/sub/file"), 0o4711);
    symlinkSync("/etc/passwd", join(rootfs, "m/link"));
    Bun.spawnSync(["mknod", join(rootfs, "m/null"), "c", "1", "3"]);
    Bun.spawnSync(["mkfifo", join(rootfs, "m/fifo")]);
    const look =
      "cd m; find . -exec stat -c '%n %a %u:%g %F %t:%T' {} +; readlink link; wc -c <sub/file";
    const original = Bun.spawnSync(["sh", "-c", look], { cwd: rootfs }).stdout.toString();
    const tmpfs = { destination: "/m", type: "tmpfs", options: ["ro", "tmpcopyup"] };
    const copied = await output({ mounts: [tmpfs] }, look, { root: rootfs });
    expect(copied.split("\n").toSorted()).toEqual(original.trimEnd().split("\n").toSorted());
    const { err } = await apply({ mounts: [tmpfs] }, "touch m/x", { root: rootfs });
    expect(err).toContain("Read-only file system");
    expect(await output({ mounts: [tmpfs] }, `grep -c " $PWD/m tmpfs" /proc/self/mounts`)).toBe(
      "1",
    );
  });

  asRoot("that the kernel has not is named", async () => {
    const mount = { destination: "/m", type: "nosuchfs" };
    expect(await refused({ mounts: [mount] })).toBe(
      "mount nosuchfs on /m: this kernel has no file system nosuchfs",
    );
  });
});

describe("propagation", () => {
  const source = () => directory("peers");
  const shared = (path: string) => `mount -t tmpfs t ${path}; mount --make-shared ${path}
    mkdir ${path}/sub; mount -t tmpfs t ${path}/sub; mount --make-shared ${path}/sub`;
  for (const [options, fields] of [
    [[], []],
    [["rprivate"], []],
    [["private"], []],
    [["slave"], ["master"]],
    [["rshared"], ["shared"]],
    [["shared"], ["shared"]],
    [["unbindable"], ["unbindable"]],
    [
      ["rslave", "rshared"],
      ["shared", "master"],
    ],
  ] as const) {
    asRoot(
      `${options.join() || "by default"} is ${fields.join(" and ") || "private"}`,
      async () => {
        const path = source();
        const mount = await mountOf("/m", [bind(path, "rbind", ...options)], {
          onHost: shared(path),
          unshare: ["-m", "--propagation", "unchanged"],
        });
        expect(mount.fields.map((field) => field.replace(/:\d+/, ""))).toEqual([...fields]);
      },
    );
  }

  for (const [option, below] of [
    ["slave", "master"],
    ["private", "master"],
    ["rprivate", undefined],
    ["runbindable", "unbindable"],
  ] as const) {
    asRoot(`${option} lets what is below give nothing to the host`, async () => {
      const path = source();
      const mount = await mountOf("/m/sub", [bind(path, "rbind", option)], {
        onHost: shared(path),
        unshare: ["-m", "--propagation", "unchanged"],
      });
      expect(mount.fields.map((field) => field.replace(/:\d+/, ""))).toEqual(
        below === undefined ? [] : [below],
      );
    });
  }

  asRoot("is changed without a type or source, as by mount --make-rshared", async () => {
    const path = source();
    const make = (...options: string[]) => ({ destination: "/m", type: "none", options });
    const mounts = [bind(path, "ro"), make("rshared")];
    const mount = await mountOf("/m", mounts, { onHost: shared(path) });
    expect(mount.fields).toEqual([expect.stringMatching(/^shared:/)]);
    expect(mount.options).toContain("ro");
  });

  asRoot("of a file system of its own", async () => {
    const tmpfs = { destination: "/m", type: "tmpfs", options: ["rshared"] };
    expect((await mountOf("/m", [tmpfs])).fields[0]).toMatch(/^shared:/);
  });
});

describe("mapped ids", () => {
  asRoot("of a mount show its files as another's, below as well with ridmap", async () => {
    const source = directory("mapped");
    writeFileSync(join(source, "mine"), "");
    mkdirSync(join(source, "sub"));
    const before = `mount -t tmpfs t ${source}/sub; touch ${source}/sub/other`;
    const mappings = [{ containerID: 0, hostID: 100_000, size: 10 }];
    const mapped = (...options: string[]): MountEntry => ({
      ...bind(source, "rbind", ...options),
      uidMappings: mappings,
      gidMappings: mappings,
    });
    const script = "stat -c %u:%g m/mine m/sub/other";
    const owners = (...options: string[]) =>
      output({ mounts: [mapped(...options)] }, script, { before });
    expect(await owners()).toBe("100000:100000\n0:0");
    expect(await owners("ridmap")).toBe("100000:100000\n100000:100000");
  });

  asRoot("of the container are taken with idmap alone", async () => {
    const source = directory("mapped");
    const linux = {
      uidMappings: [{ containerID: 0, hostID: 7, size: 1 }],
      gidMappings: [{ containerID: 0, hostID: 8, size: 1 }],
    };
    const spec = { mounts: [bind(source, "idmap")], linux };
    expect(await output(spec, "stat -c %u:%g m")).toBe("7:8");
  });

  asRoot("that overlap are refused in one line", async () => {
    const range = [
      { containerID: 0, hostID: 0, size: 10 },
      { containerID: 5, hostID: 50, size: 10 },
    ];
    const mount = { ...bind(base), uidMappings: range, gidMappings: range };
    expect(await refused({ mounts: [mount] })).toBe(
      `mount ${base} on /m with mapped ids: invalid argument`,
    );
  });
});

describe("sources and targets", () => {
  asRoot("mountinfo lists mounts in their order, whatever was copied early", async () => {
    const names = ["first", "second", "third", "fourth", "fifth"];
    const source = directory("ordered");
    const tmpfs = { type: "tmpfs", source: "tmpfs" };
    const kinds = [
      tmpfs,
      { source, options: ["bind"] },
      tmpfs,
      { source, options: ["rbind", "rshared"] },
      tmpfs,
    ];
    const mounts = names.map((name, index) => ({ destination: `/${name}`, ...kinds[index] }));
    const script =
      'sed -n "s|^[^ ]* [^ ]* [^ ]* [^ ]* $PWD/\\([^ ]*\\) .*|\\1|p" /proc/self/mountinfo';
    expect((await output({ mounts }, script)).split("\n")).toEqual(names);
  });

  asRoot("the whole of the host as a source does not show what the container mounts", async () => {
    const mounts = [
      { destination: "/t", type: "tmpfs", source: "tmpfs" },
      { destination: "/host", source: "/", options: ["rbind"] },
    ];
    const script =
      'touch t/file; ls host$PWD/t; grep -c "$PWD/host$PWD" /proc/self/mountinfo || true';
    expect(await output({ mounts }, script)).toBe("0");
  });

  asRoot("a source is relative to the bundle", async () => {
    const bundle = directory("bundle");
    mkdirSync(join(bundle, "data"));
    writeFileSync(join(bundle, "data/file"), "in the bundle");
    expect(await output({ mounts: [bind("data")] }, "cat m/file", { facts: { bundle } })).toBe(
      "in the bundle",
    );
  });

  asRoot("a missing source is named", async () => {
    expect(await refused({ mounts: [bind("/no/such")] })).toBe(
      "mount /no/such on /m: no such file or directory",
    );
  });

  asRoot("a target may be relative, missing, a file, or a link in the root", async () => {
    const source = directory();
    writeFileSync(join(source, "file"), "bound");
    const rootfs = directory("root");
    symlinkSync("/real", join(rootfs, "link"));
    symlinkSync("../../../../up", join(rootfs, "climbs"));
    mkdirSync(join(rootfs, "real"));
    const at = (destination: string, from = source): MountEntry => ({
      destination,
      source: from,
      options: ["bind"],
    });
    const mounts = [
      at("relative/deep"),
      at("/link"),
      at("/climbs/x"),
      at("/a/b/file", join(source, "file")),
    ];
    const script = "cat relative/deep/file real/file up/x/file a/b/file";
    expect(await output({ mounts }, script, { root: rootfs })).toBe("bound".repeat(4));
    expect(existsSync("/up")).toBe(false);
  });

  asRoot("a missing target on a read-only file system is an error that says so", async () => {
    const rootfs = directory("root");
    const before = `mount -t tmpfs -o ro t ${rootfs}`;
    expect(await refused({ mounts: [bind(base)] }, { root: rootfs, before })).toBe(
      "mount on /m: make /m: read-only file system; what is mounted on has to be there already",
    );
  });
});

describe("a mount of type cgroup", () => {
  const entry = { destination: "/cg", type: "cgroup", options: ["ro", "nosuid", "noexec"] };
  const devices = "grep cgroup /proc/self/mounts | grep -v ' /sys/fs'";

  testIf([...needs, isUnified ? "no cgroup v1" : undefined], "of version 1", async () => {
    const [first] = readFileSync("/proc/self/mounts", "utf8").matchAll(/^cgroup (\S+) cgroup /gm);
    const own = first?.[1] ?? "";
    const hierarchies = [
      { name: "one", data: "x", directory: own },
      { name: "cpu,cpuacct", data: "x", directory: own },
    ];
    const facts = { cgroup: { version: 1, namespace: false, hierarchies } } as const;
    const script = `ls cg; readlink cg/cpu; test -e cg/cpuacct/tasks && ! touch cg/x && ${devices}`;
    const { out } = await apply({ mounts: [entry] }, script, { facts });
    const [a, b, c, d, link, ...mounts] = out.split("\n");
    expect([a, b, c, d, link]).toEqual(["cpu", "cpu,cpuacct", "cpuacct", "one", "cpu,cpuacct"]);
    expect(mounts).toHaveLength(2);
    for (const line of mounts) expect(line).toMatch(/ ro,nosuid,noexec,/);
  });

  asRoot("of version 2 is a cgroup2 file system", async () => {
    const unified = [{ name: "", data: "", directory: base }];
    const facts = { cgroup: { version: 2, namespace: true, hierarchies: unified } } as const;
    expect(await output({ mounts: [entry] }, "stat -f -c %T cg", { facts })).toBe("cgroup2fs");
  });

  asRoot("of version 2 that may not be mounted is the container's directory", async () => {
    const directory2 = directory("cgroup");
    writeFileSync(join(directory2, "cgroup.procs"), "mine");
    const unified = [{ name: "", data: "", directory: directory2 }];
    const facts = { cgroup: { version: 2, namespace: true, hierarchies: unified } } as const;
    // A user namespace without a cgroup namespace of its own has no right to the hierarchy.
    const unshare = ["-Um", "--map-root-user"];
    const script = `cat cg/cgroup.procs; ! touch cg/x`;
    const mounts = [entry];
    const devDirectory = { destination: "/dev", source: "/dev", options: ["rbind"] };
    const { out, err } = await apply({ mounts: [devDirectory, ...mounts] }, script, {
      facts,
      unshare,
    });
    expect(out).toBe("mine");
    expect(err).toContain("Read-only file system");
  });
});

describe("devices", () => {
  const device = (path: string, rest: object) => ({ path, ...rest }) as never;
  const list = (...devices: never[]): RootfsSpec => ({ linux: { devices } });

  asRoot("are of each type, with mode and owner, wherever they are asked for", async () => {
    const spec = list(
      device("/dev/loop9", { type: "b", major: 7, minor: 9, fileMode: 0o660, uid: 3, gid: 4 }),
      device("/run/deep/pipe", { type: "p", fileMode: 0o600 }),
      device("/mem", { type: "u", major: 1, minor: 3 }),
    );
    const script = "stat -c '%n %F %t:%T %a %u:%g' dev/loop9 run/deep/pipe mem dev/null";
    expect((await output(spec, script)).split("\n")).toEqual([
      "dev/loop9 block special file 7:9 660 3:4",
      "run/deep/pipe fifo 0:0 600 0:0",
      "mem character special file 1:3 666 0:0",
      "dev/null character special file 1:3 666 0:0",
    ]);
  });

  asRoot("that the image has already are kept if they are the same, else refused", async () => {
    const rootfs = directory("root");
    mkdirSync(join(rootfs, "dev"));
    Bun.spawnSync(["mknod", "-m", "600", join(rootfs, "dev/null"), "c", "1", "3"]);
    expect(await output({}, "stat -c %t:%T dev/null", { root: rootfs })).toBe("1:3");
    expect(statSync(join(rootfs, "dev/null")).mode & 0o777).toBe(0o600);
    const other = directory("root");
    mkdirSync(join(other, "dev"));
    Bun.spawnSync(["mknod", join(other, "dev/zero"), "c", "1", "3"]);
    expect(await refused({}, { root: other })).toBe("make /dev/zero: something else has that name");
  });

  asRoot("are the host's own nodes in a user namespace, where none can be made", async () => {
    const unshare = ["-Um", "--map-root-user"];
    const script = "echo x >dev/null; head -c 2 dev/zero | wc -c; stat -c %t:%T dev/null";
    const mounts = [{ destination: "/dev", type: "tmpfs", options: ["nosuid", "mode=755"] }];
    expect(await output({ mounts }, script, { unshare })).toBe("2\n1:3");
    const { err } = await apply(
      { mounts, linux: { devices: [device("/dev/null2", { type: "c", major: 1, minor: 3 })] } },
      "true",
      { unshare },
    );
    expect(err).toBe("make /dev/null2: no such file or directory");
  });
});

describe("in a user namespace", () => {
  const unshare = ["-Um", "--map-root-user", "--propagation", "unchanged"];
  const tmpfs = { destination: "/dev", type: "tmpfs" };

  asRoot("locked options of a source are kept, and cannot be asked away", async () => {
    const source = directory("locked");
    // Mounted by the host, in whose namespace the user namespace's is made.
    const run = (...options: string[]) =>
      apply(
        { mounts: [tmpfs, bind(source, ...options)] },
        `grep " $PWD/m " /proc/self/mounts | cut -d' ' -f4`,
        {
          onHost: `mount -t tmpfs -o nosuid,nodev t ${source}`,
          unshare,
        },
      );
    const kept = await run("noexec");
    expect(kept.err).toBe("");
    expect(kept.out.split(",")).toEqual(expect.arrayContaining(["nosuid", "nodev", "noexec"]));
    expect((await run("suid")).err).toBe(
      "mount on /m with its options: operation not permitted: an option of the source is locked, or asks for more than a user namespace may",
    );
  });
});

test("nothing is left on the host", () => {
  expect(readFileSync("/proc/self/mountinfo", "utf8")).not.toContain(base);
  expect(readdirSync("/").includes("m")).toBe(false);
  expect(statSync(base).isDirectory()).toBe(true);
});
