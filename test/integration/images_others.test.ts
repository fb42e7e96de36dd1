/**
 * Images that go from mydocker to Docker, Podman, skopeo and umoci, and back: what is in them stays
 * what it was, file by file. And what Docker's rmi does with them.
 */
import { afterAll, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Engine, Engine as OtherEngine, useEngine } from "../helpers/cli.ts";
import { Dockerd } from "../helpers/dockerd.ts";
import { program, type Requirement, root, testIf } from "../helpers/requires.ts";
import { archive, pax } from "../helpers/tar_builder.ts";

const docker: Requirement[] = [root(), program("dockerd"), program("docker"), program("ip")];
const podman = [root(), program("podman")];
const skopeo = [root(), program("skopeo")];
const umoci = [root(), program("umoci"), program("getfattr"), program("unshare")];
const hasDocker = docker.every((requirement) => requirement === undefined);

const engine = useEngine({
  before: async () => {
    makeOddImage();
    await succeed(engine, ["load", "-i", at("odd.tar")]);
    await succeed(engine, ["save", "-o", at("ours.tar"), "odd", "odd/second"]);
    if (hasDocker) await dockerd.start();
  },
});
const dockerd = new Dockerd(engine, "docker");
const other = new OtherEngine();
afterAll(async () => {
  await dockerd.stop();
  other.remove();
});

const folder = engine.directory("archives");
const at = (name: string) => join(folder, name);
const sha = (bytes: Uint8Array | string) =>
  new Bun.CryptoHasher("sha256").update(bytes).digest("hex");

async function succeed(who: Engine, args: readonly string[]): Promise<string> {
  const { exitCode, out, err } = await who.call(args);
  expect([exitCode, err]).toEqual([0, ""]);
  return out;
}

/** Any command. @returns its output */
async function command(words: readonly string[]): Promise<string> {
  const { exitCode, out, err } = await engine.exec(words, { timeout: 60_000 });
  if (exitCode !== 0) throw new Error(`${words.join(" ")}: ${err}`);
  return out;
}

const TREE = `set -e
umask 022
mkdir -p dir/sub old/dir opaque/below again long/$(printf 'd%.0s' $(seq 200))
echo hello > dir/file; chmod 640 dir/file; chown 1000:2000 dir/file
ln dir/file dir/sub/hard; ln -s dir/file link; ln -s /no/where "$(printf 'l\\nf')"; chown -h 12:34 link
echo x > dir/setuid; chmod 4755 dir/setuid; setfattr -n user.note -v 0x000a3dff dir/setuid
echo x > "$(printf 'bytes-\\377\\200')"; echo x > 'new
line'; : > empty; chown 3000000:3000001 empty
mkfifo -m 600 fifo; mknod -m 666 null c 1 3; mknod block b 259 70000
truncate -s 5M hole; printf data | dd of=hole bs=1M seek=3 conv=notrunc status=none
echo old > old/dir/file; echo below > opaque/below/file; echo again > again/file; echo gone > gone
cp /bin/true capable; setcap cap_net_raw+ep capable || :
head -c 300000 /dev/urandom > "long/$(printf 'd%.0s' $(seq 200))/$(printf 'f%.0s' $(seq 200))"
chmod 2770 dir/sub; chmod 1777 old; chmod 711 .
touch -d '1999-12-31 23:59:59.123456789' dir/file; touch -h -d '1960-01-01 00:00:00.5' link
touch -d '2001-02-03 04:05:06.7' dir; touch -d '2002-02-03 04:05:06.7' .
`;

/** Two layers with one of everything, and two names for it, as `docker save` writes them. */
function makeOddImage(): void {
  const tree = join(folder, "tree");
  mkdirSync(tree, { recursive: true });
  const made = Bun.spawnSync(["bash", "-c", TREE], { cwd: tree });
  if (made.exitCode !== 0) throw new Error(made.stderr.toString());
  const options = ["--format=posix", "--xattrs", "--xattrs-include=*", "--numeric-owner"];
  const lower = Bun.spawnSync(["tar", ...options, "-C", tree, "-c", "."], {
    maxBuffer: 1 << 30,
  }).stdout;
  const upper = archive(
    // With each directory that it changes something in, as every builder writes it.
    { name: "./", type: "5", mode: 0o701, mtime: 5 },
    { name: ".wh.gone" },
    { name: "old/", type: "5", mode: 0o1777 },
    { name: "old/.wh.dir" },
    { name: "opaque/", type: "5", mode: 0o700, uid: 3 },
    { name: "opaque/.wh..wh..opq" },
    { name: "opaque/new", data: "new" },
    { name: ".wh.again" },
    { name: "dir/", type: "5", mode: 0o755, gid: 7 },
    { name: "dir/sub/", type: "5", mode: 0o751, mtime: 77 },
    pax([["mtime", "1700000000.000000001"]]),
    { name: "dir/setuid", data: "replaced", mode: 0o604 },
    { name: "added/", type: "5", mode: 0o750 },
    { name: "added/hard", data: "two names" },
    { name: "added/link", type: "1", link: "added/hard" },
  );
  const config = JSON.stringify({
    created: "2020-01-02T03:04:05Z",
    architecture: process.arch === "arm64" ? "arm64" : "amd64",
    os: "linux",
    config: { Cmd: ["/bin/sh"], Labels: { a: "b" } },
    rootfs: { type: "layers", diff_ids: [lower, upper].map((layer) => `sha256:${sha(layer)}`) },
    history: [{ created_by: "one" }, { created_by: "two" }],
  });
  const item = {
    Config: `${sha(config)}.json`,
    RepoTags: ["odd:latest", "odd/second:2"],
    Layers: ["1/layer.tar", "2/layer.tar"],
  };
  writeFileSync(
    at("odd.tar"),
    archive(
      { name: "1/layer.tar", data: lower },
      { name: "2/layer.tar", data: upper },
      { name: item.Config, data: config },
      { name: "manifest.json", data: JSON.stringify([item]) },
    ),
  );
}

/** What can be known of a tree, in a script whose argument it is. */
const FACTS = `cd "$1"
find . '(' -type d -printf '%p %y %m %U:%G %T@\\0' ')' -o -printf '%p %y %m %U:%G %T@ %s %n %l\\0' | sort -z
find . -type f -print0 | sort -z | xargs -0 sha256sum -z
find . '(' -type b -o -type c ')' -print0 | sort -z | xargs -0 stat --printf '%n %t:%T\\0'
find . -print0 | sort -z | xargs -0 getfattr -dh -m - -e hex | grep -v '^trusted.overlay' | tr '\\n' '\\0'
`;
const facts = async (script: string, args: readonly string[]): Promise<string[]> => {
  const all = [...["unshare", "-m", "bash", "-o", "pipefail", "-c", `set -e; ${script}`], "sh"];
  const { exitCode, stdout, err } = await engine.exec([...all, ...args], { timeout: 60_000 });
  if (exitCode !== 0) throw new Error(err);
  return stdout.toString("latin1").split("\0");
};

/** Of an image as its containers see it. */
async function ours(): Promise<string[]> {
  const { diff_ids: diffIds }: { diff_ids: string[] } = JSON.parse(
    readFileSync(join(engine.root, "images/ids", id().slice(7), "config.json"), "utf8"),
  ).rootfs;
  const layers = diffIds
    .toReversed()
    .map((diffId) => join(engine.root, "images/layers", diffId.slice(7), "diff"));
  const target = engine.directory("mounted");
  return await facts(`mount -t overlay -o "ro,lowerdir=$2" overlay "$1"; ${FACTS}`, [
    target,
    layers.join(":"),
  ]);
}

let known: string | undefined;
/** Of the odd image. */
const id = (): string => {
  if (known !== undefined) return known;
  const [only = ""] = readdirSync(join(engine.root, "images/ids")).filter((hex) =>
    readFileSync(join(engine.root, "images/ids", hex, "config.json"), "utf8").includes("two"),
  );
  known = `sha256:${only}`;
  return known;
};

/** Loads an archive into an empty store. @returns names and ids */
async function loadElsewhere(path: string): Promise<string[]> {
  await succeed(other, ["load", "-i", path]);
  const format = "{{.Repository}}:{{.Tag}} {{.ID}}";
  const listed = await succeed(other, ["images", "--no-trunc", "--format", format]);
  expect(await succeed(other, ["image", "verify"])).toMatch(/^sha256:[0-9a-f]{64}[^\n]*: whole$/);
  await succeed(other, ["rmi", "-f", id()]);
  return listed.split("\n").sort();
}

describe("umoci", () => {
  testIf(umoci, "unpacks what we unpack, file by file", async () => {
    await succeed(engine, ["save", "--format", "oci-dir", "-o", at("layout"), "odd"]);
    await command(["umoci", "unpack", "--image", `${at("layout")}:latest`, at("bundle")]);
    const theirs = await facts(FACTS, [join(at("bundle"), "rootfs")]);
    const mine = await ours();
    expect(mine.length).toBeGreaterThan(40);
    expect(mine).toEqual(theirs);
  });
});

describe("Podman", () => {
  const call = (args: readonly string[]) =>
    command([
      ...["podman", "--root", at("podman"), "--runroot", join(engine.folder, "pr")],
      ...["--tmpdir", join(engine.folder, "pt"), "--storage-driver", "vfs", ...args],
    ]);

  testIf(podman, "loads what we save, and has the same files", async () => {
    await call(["load", "-i", at("ours.tar")]);
    const images = await call([
      "images",
      "--no-trunc",
      "--format",
      "{{.Repository}}:{{.Tag}} {{.ID}}",
    ]);
    expect(images.split("\n").sort()).toEqual([
      `localhost/odd/second:2 ${id()}`,
      `localhost/odd:latest ${id()}`,
    ]);
    const mounted = await call(["image", "mount", "odd"]);
    try {
      const theirs = await facts(FACTS, [mounted]);
      // The root directory's time is that of the mount.
      const untimed = ([top = "", ...rest]: string[]) => [top.replace(/ [^ ]*$/, ""), ...rest];
      expect(untimed(await ours())).toEqual(untimed(theirs));
    } finally {
      await call(["image", "unmount", "odd"]);
    }
  });

  for (const format of ["docker-archive", "oci-archive", "oci-dir"])
    testIf(podman, `saves what we load, as ${format}`, async () => {
      await call(["save", "--format", format, "-o", at(`podman-${format}`), "odd"]);
      expect(await loadElsewhere(at(`podman-${format}`))).toEqual([`localhost/odd:latest ${id()}`]);
    });
});

describe("skopeo", () => {
  const copy = (from: string, to: string) => command(["skopeo", "copy", "--quiet", from, to]);

  testIf(skopeo, "reads what we save, either way", async () => {
    for (const [from, name] of [
      [`docker-archive:${at("ours.tar")}:odd/second:2`, "x/docker:1"],
      [`oci-archive:${at("ours.tar")}:2`, "x/oci:1"],
    ] as const)
      for (const kind of ["docker-archive", "oci-archive", "oci"]) {
        const path = at(`skopeo-${kind}-${name.replace(/\W/g, "-")}`);
        await copy(from, `${kind}:${path}:${name}`);
        expect(await loadElsewhere(path)).toEqual([`${name} ${id()}`]);
      }
  });

  testIf(skopeo, "names no image by a tag alone", async () => {
    await copy(`oci-archive:${at("ours.tar")}:2`, `oci-archive:${at("tag")}:only-a-tag`);
    expect(await loadElsewhere(at("tag"))).toEqual([`<none>:<none> ${id()}`]);
  });

  testIf(skopeo, "keeps zstd layers, and we load them", async () => {
    await command([
      ...["skopeo", "copy", "--quiet", "--dest-compress-format", "zstd", "--dest-compress"],
      ...[`oci-archive:${at("ours.tar")}:2`, `dir:${at("zstd")}`],
    ]);
    await copy(`dir:${at("zstd")}`, `oci-archive:${at("zstd.tar")}:x/zstd:1`);
    expect(await loadElsewhere(at("zstd.tar"))).toEqual([`x/zstd:1 ${id()}`]);
  });
});

describe("Docker", () => {
  testIf(docker, "loads what we save, names and all", async () => {
    const { exitCode, out, err } = await dockerd.docker(["load", "-i", at("ours.tar")]);
    expect([exitCode, err]).toEqual([0, ""]);
    // Ours is what it says, but for the bars of its progress.
    const [odd, second] = ["Loaded image: odd:latest", "Loaded image: odd/second:2"];
    expect(
      out
        .split("\n")
        .filter((line) => line.startsWith("Loaded"))
        .sort(),
    ).toEqual([odd, second].sort() as string[]);
    const format = "{{.Repository}}:{{.Tag}} {{.ID}}";
    const listed = await dockerd.docker(["images", "--no-trunc", "--format", format]);
    expect(listed.out.split("\n")).toEqual(
      expect.arrayContaining([`odd:latest ${id()}`, `odd/second:2 ${id()}`]),
    );
  });

  testIf(
    [...docker, ...skopeo],
    "loads what has zstd layers, and what others get keeps them",
    async () => {
      await command([
        ...["skopeo", "copy", "--quiet", "--dest-compress-format", "zstd", "--dest-compress"],
        ...[`oci-archive:${at("ours.tar")}:2`, `dir:${at("zstd-dir")}`],
      ]);
      await command([
        ...["skopeo", "copy", "--quiet", `dir:${at("zstd-dir")}`],
        `oci-archive:${at("zstd-oci.tar")}:x/zstd:2`,
      ]);
      await succeed(other, ["load", "-i", at("zstd-oci.tar")]);
      await succeed(other, ["save", "-o", at("zstd-docker.tar"), "x/zstd"]);
      await succeed(other, [
        "save",
        "--format",
        "oci-archive",
        "-o",
        at("zstd-again.tar"),
        "x/zstd",
      ]);
      await succeed(other, ["rmi", "-f", id()]);
      expect((await dockerd.docker(["load", "-i", at("zstd-docker.tar")])).exitCode).toBe(0);
      const format = "{{.ID}}";
      const listed = await dockerd.docker(["images", "--no-trunc", "--format", format, "x/zstd"]);
      expect(listed.out).toBe(id());
      expect((await dockerd.docker(["rmi", "x/zstd:2"])).exitCode).toBe(0);
      const digest = async (path: string) =>
        /"digest":"(sha256:[0-9a-f]+)"/.exec(
          await command(["tar", "-xOf", path, "index.json"]),
        )?.[1];
      expect(await digest(at("zstd-again.tar"))).toBe(await digest(at("zstd-oci.tar")));
      expect(await loadElsewhere(at("zstd-docker.tar"))).toEqual([`x/zstd:2 ${id()}`]);
    },
  );

  testIf(docker, "saves what we load, names and all", async () => {
    expect(
      (await dockerd.docker(["save", "-o", at("docker.tar"), "odd", "odd/second"])).exitCode,
    ).toBe(0);
    expect(await loadElsewhere(at("docker.tar"))).toEqual([
      `odd/second:2 ${id()}`,
      `odd:latest ${id()}`,
    ]);
    expect((await dockerd.docker(["save", "-o", at("docker-id.tar"), id()])).exitCode).toBe(0);
    expect(await loadElsewhere(at("docker-id.tar"))).toEqual([`<none>:<none> ${id()}`]);
  });

  testIf(
    docker,
    "gives directories that a layer has no entry for the same owner and mode",
    async () => {
      const layers = [
        archive(
          { name: "low/", type: "5", mode: 0o1777, uid: 5, gid: 5 },
          { name: "low/in/", type: "5", mode: 0o700, uid: 7 },
        ),
        archive({ name: "low/in/file", data: "x" }, { name: "new/dir/file", data: "x", uid: 9 }),
      ];
      const config = JSON.stringify({
        architecture: process.arch === "arm64" ? "arm64" : "amd64",
        os: "linux",
        config: { Cmd: ["/x"] },
        rootfs: { type: "layers", diff_ids: layers.map((layer) => `sha256:${sha(layer)}`) },
      });
      const Layers = ["0/layer.tar", "1/layer.tar"];
      writeFileSync(
        at("implied.tar"),
        archive(
          ...layers.map((data, index) => ({ name: Layers[index] as string, data })),
          { name: `${sha(config)}.json`, data: config },
          {
            name: "manifest.json",
            data: JSON.stringify([
              { Config: `${sha(config)}.json`, RepoTags: ["implied:1"], Layers },
            ]),
          },
        ),
      );
      const trees: string[][] = [];
      for (const [who, call] of [
        ["theirs", (args: string[]) => dockerd.docker(args)],
        ["ours", (args: string[]) => engine.call(args)],
      ] as const) {
        const exported = at(`implied-${who}.tar`);
        for (const args of [
          ["load", "-i", at("implied.tar")],
          ["create", "--name", "implied", "--network", "none", "implied:1"],
          ["export", "-o", exported, "implied"],
          ["rm", "implied"],
          ["rmi", "implied:1"],
        ])
          expect([args[0], (await call(args)).exitCode]).toEqual([args[0] as string, 0]);
        const listed = await command(["tar", "--numeric-owner", "-tvf", exported]);
        const lines = listed.split("\n").filter((line) => / (low|new)\//.test(line));
        trees.push(lines.map((line) => line.replace(/ +\d+ [-\d]+ [:\d]+ /, " ")));
      }
      expect(trees[1]).toEqual(trees[0] as string[]);
      expect(trees[1]).toContain("drwxr-xr-x 0/0 low/in/");
    },
  );

  testIf(docker, "saves under the same names", async () => {
    for (const wanted of [
      ["odd"],
      ["odd:latest", "odd"],
      [id()],
      ["odd/second:2", "odd"],
      [id(), "odd"],
    ]) {
      const names: string[][] = [];
      for (const save of [
        (args: string[]) => dockerd.docker(args),
        (args: string[]) => engine.call(args),
      ]) {
        expect((await save(["save", "-o", at("named.tar"), ...wanted])).exitCode).toBe(0);
        const list = await command(["tar", "-xOf", at("named.tar"), "manifest.json"]);
        names.push(
          ...JSON.parse(list).map(({ RepoTags }: { RepoTags: string[] | null }) => RepoTags),
        );
      }
      expect([wanted, names[0]?.sort()]).toEqual([wanted, names[1]?.sort()]);
    }
  });

  /** Commands one after the other; `I` is the image's id, `i` the beginning of it. */
  const RULES: Readonly<Record<string, readonly string[]>> = {
    "a name that is not the last": ["tag odd a:1", "rmi a:1", "rmi a:1"],
    "a name that is not here": ["rmi nowhere", "rmi -f nowhere", "rmi nowhere:1 a:2"],
    "bad names": ["rmi UPPER", "rmi a:b:c"],
    "several names of one repository, by the id": ["tag odd odd:two", "rmi i", "rmi odd:two"],
    "several repositories, by the id": ["tag odd b:1", "rmi i", "rmi I", "rmi b:1"],
    "a container that was never started, by name": [
      "create --name cc odd /x",
      "rmi odd/second:2",
      "rmi odd:latest",
      "rmi i",
      "tag odd odd/second:2",
      "rm cc",
    ],
    "a container, by the id, by force": [
      "create --name cc odd /x",
      "rmi odd/second:2",
      "rmi -f odd",
      "rm cc",
    ],
    "a container by force, by the id": [
      "create --name cc odd /x",
      "rmi I",
      "rmi -f I",
      "rm cc",
      "rmi -f I",
    ],
    "what keeps its layers": [
      "create --name cc odd /bin/true",
      "rmi -f odd odd/second:2",
      "images -q odd",
      "inspect --format {{.Image}} cc",
      "rm cc",
    ],
    "the last name": ["rmi --no-prune odd odd/second:2", "rmi I"],
    "the id, by force": ["tag odd c:3", "rmi -f i"],
    "several, one of which is not here": ["rmi odd:latest nowhere odd/second:2"],
  };
  for (const [what, lines] of Object.entries(RULES))
    testIf(docker, `removes by the same rules: ${what}`, async () => {
      const said: string[][] = [];
      for (const call of [
        (args: string[]) => dockerd.docker(args),
        (args: string[]) => engine.call(args),
      ]) {
        await call(["rmi", "-f", id()]);
        await call(["load", "-q", "-i", at("odd.tar")]);
        said.push([]);
        for (const line of lines) {
          const args = line
            .split(" ")
            .map((word) => (word === "I" ? id() : word === "i" ? id().slice(7, 19) : word));
          const { exitCode, out, err } = await call(args);
          const shown = args[0] === "create" ? "" : sorted(out);
          said.at(-1)?.push(`${line}: ${exitCode}`, shown, plain(err));
        }
        await call(["rm", "-f", "cc"]);
      }
      const [theirs, mine] = said;
      expect(mine).toEqual(theirs as string[]);
    });
});

/** Untagged lines come in no order of Docker's. */
const sorted = (out: string): string => {
  const lines = out.split("\n");
  return [
    ...lines.filter((line) => line.startsWith("Untagged")).sort(),
    ...lines.filter((line) => !line.startsWith("Untagged")),
  ].join("\n");
};
/** Without who says it, and the ids of containers. */
const plain = (err: string): string =>
  err
    .split("\n")
    .map((line) => line.replace(/^(?:mydocker|Error response from daemon|Error): /, ""))
    .map((line) => line.replace(/(container) [0-9a-f]{12}/g, "$1 ID").replace(/; .*/, ""))
    // As Docker's own daemon has it; its client of version 20 leaves the tag out, and its daemon the name.
    .map((line) => line.replace(/name \(.*\) must be/, "name must be"))
    .map((line) => line.replace(/^(No such image: .*):latest$/, "$1"))
    .join("\n");

test("nothing was mounted on the host", () => {
  expect(readFileSync("/proc/self/mountinfo", "utf8")).not.toContain(engine.folder);
  expect(existsSync(at("ours.tar"))).toBe(true);
});
