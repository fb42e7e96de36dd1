/** Images on their way from one store to another: save and load, as a person calls them. */
import { afterAll, describe, expect, test } from "bun:test";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { Engine, leavesNothingBehind, useEngine } from "../helpers/cli.ts";
import { archive, type Member } from "../helpers/tar_builder.ts";

const engine = useEngine();
/** Another machine, as far as images go. */
const other = new Engine();
afterAll(() => other.remove());
const files = engine.directory("archives");
const at = (name: string) => join(files, name);

async function succeed(who: Engine, args: readonly string[], stdin?: Uint8Array | Blob) {
  const { exitCode, out, err } = await who.call(args, stdin === undefined ? {} : { stdin });
  expect([exitCode, err]).toEqual([0, ""]);
  return out;
}

/** An image of one file, made by `import`. */
async function makeImage(name: string, content: string, who: Engine = engine): Promise<string> {
  return await succeed(who, ["import", "-", name], archive({ name: "file", data: content }));
}

/** Names and ids, with the digests of manifests. */
async function list(who: Engine): Promise<string[]> {
  const ids = (await succeed(who, ["images", "-q", "--no-trunc"])).split("\n");
  const named = await succeed(who, [
    ...["images", "--no-trunc", "--format", "{{.Repository}}:{{.Tag}} {{.ID}}"],
  ]);
  const manifests = [...new Set(ids)].flatMap((id) => {
    const path = join(who.root, "images/ids", id.replace("sha256:", ""), "manifests");
    return existsSync(path) ? readdirSync(path) : [];
  });
  return [...named.split("\n"), ...manifests].sort();
}

/** Removes all images, but for the one that each engine of a test has. */
const removeAll = async (who: Engine) => {
  const [own] = who === engine ? (await succeed(who, ["images", "-q", "busybox"])).split("\n") : [];
  const ids = (await succeed(who, ["images", "-q"]))
    .split("\n")
    .filter((id) => id !== "" && id !== own);
  if (ids.length > 0) await who.call(["rmi", "-f", ...new Set(ids)]);
};

describe("what is saved", () => {
  test("is loaded again with the same ids, names and manifests", async () => {
    await makeImage("several:1", "one");
    await makeImage("localhost:5000/deep/er/name:two", "two");
    const untagged = await makeImage("gone", "three");
    await succeed(engine, ["tag", "several:1", "several:2"]);
    await succeed(engine, ["rmi", "gone"]).catch(() => {});
    const dangling = await makeImage("gone", "four");
    await makeImage("gone", "five");
    // All tags of a repository that is named without one, as Docker does.
    const wanted = ["several", "localhost:5000/deep/er/name:two", dangling];
    await succeed(engine, ["save", "-o", at("several.tar"), ...wanted]);
    expect(await succeed(other, ["load", "-i", at("several.tar")])).toBe(
      [
        "Loaded image: several:1",
        "Loaded image: several:2",
        "Loaded image: localhost:5000/deep/er/name:two",
        `Loaded image ID: ${dangling}`,
      ].join("\n"),
    );
    const loaded = await list(other);
    expect(loaded).toHaveLength(4 + 3);
    expect(await list(engine)).toEqual(expect.arrayContaining(loaded));
    expect(loaded.join()).not.toContain(untagged);
    // Several that are here already can be loaded again.
    await succeed(other, ["load", "-i", at("several.tar")]);
    expect(await list(other)).toEqual(loaded);
    await removeAll(other);
  });

  test("is the same archive each time, and of another store that loaded it", async () => {
    await makeImage("same", "same");
    await succeed(engine, ["save", "-o", at("first.tar"), "same"]);
    await succeed(other, ["load", "-i", at("first.tar")]);
    const { stdout } = await other.call(["save", "same"]);
    expect(Buffer.compare(stdout, readFileSync(at("first.tar")))).toBe(0);
    await removeAll(other);
  });

  test("runs where it is loaded, the image inside the executable as well", async () => {
    await succeed(engine, ["tag", "busybox", "mine:1"]);
    await succeed(engine, ["save", "-o", at("busybox.tar"), "busybox", "mine:1"]);
    expect(await succeed(other, ["load", "-q", "-i", at("busybox.tar")])).toBe(
      "Loaded image: busybox:latest\nLoaded image: mine:1",
    );
    const { out } = await other.run(["--network", "none", "mine:1", "echo", "from an archive"]);
    expect(out).toBe("from an archive");
    await removeAll(other);
  });

  test("is loaded from a pipe, compressed or not, and from a directory", async () => {
    const id = await makeImage("piped", "piped");
    const tar = (await engine.call(["save", "piped"])).stdout as Buffer<ArrayBuffer>;
    for (const bytes of [tar, Bun.gzipSync(tar), Bun.zstdCompressSync(tar)]) {
      expect(await succeed(other, ["load"], bytes)).toBe("Loaded image: piped:latest");
      expect(await succeed(other, ["images", "-q", "--no-trunc"])).toBe(id);
      await removeAll(other);
      writeFileSync(at("compressed"), bytes);
      expect(await succeed(other, ["load", "-i", at("compressed")])).toContain("piped");
      await removeAll(other);
    }
    await succeed(engine, ["save", "--format", "oci-dir", "-o", at("layout"), "piped"]);
    expect(await succeed(other, ["load", "-i", at("layout")])).toBe("Loaded image: piped:latest");
    expect(await succeed(other, ["images", "-q", "--no-trunc"])).toBe(id);
    await removeAll(other);
  });

  test("takes its names from the images that have them", async () => {
    await makeImage("contested", "saved");
    await succeed(engine, ["save", "-o", at("contested.tar"), "contested"]);
    const old = await makeImage("contested", "was here", other);
    expect(await succeed(other, ["load", "-i", at("contested.tar")])).toBe(
      `The image contested:latest already exists, renaming the old one with ID ${old} to empty string\nLoaded image: contested:latest`,
    );
    expect(await list(other)).toContain(`<none>:<none> ${old}`);
    // Again changes nothing.
    expect(await succeed(other, ["load", "-i", at("contested.tar")])).toBe(
      "Loaded image: contested:latest",
    );
    await removeAll(other);
  });
});

describe("save", () => {
  test("leaves a file as it was when an image is not there", async () => {
    writeFileSync(at("kept"), "as it was");
    const { exitCode, err } = await engine.call(["save", "-o", at("kept"), "busybox", "nowhere"]);
    expect([exitCode, err]).toEqual([1, "mydocker: No such image: nowhere:latest"]);
    expect(readFileSync(at("kept"), "utf8")).toBe("as it was");
    expect(readdirSync(files).filter((name) => name.startsWith("."))).toEqual([]);
  });

  test("leaves a file as it was when the image is damaged, and says what is", async () => {
    await makeImage("rotten", "rotten");
    const before = new Set(readdirSync(join(engine.root, "images/blobs/sha256")));
    const id = await makeImage("rotten", "rotten, too");
    const blob = readdirSync(join(engine.root, "images/blobs/sha256")).find(
      (name) => !before.has(name),
    );
    const path = join(engine.root, "images/blobs/sha256", blob ?? "");
    const bytes = readFileSync(path);
    bytes[bytes.length - 1] = (bytes[bytes.length - 1] as number) ^ 1;
    writeFileSync(path, bytes);
    writeFileSync(at("kept"), "as it was");
    const { exitCode, err } = await engine.call(["save", "-o", at("kept"), "rotten"]);
    expect(exitCode).toBe(1);
    expect(err).toStartWith(
      `mydocker: the image ${id} is damaged: its blob sha256:${blob} does not have that digest; `,
    );
    expect(readFileSync(at("kept"), "utf8")).toBe("as it was");
    await succeed(engine, ["rmi", id]);
  });

  test("replaces a file, which is root's alone, and writes into a pipe", async () => {
    writeFileSync(at("replaced"), "x".repeat(5_000_000));
    await succeed(engine, ["save", "-o", at("replaced"), "busybox"]);
    expect(statSync(at("replaced")).mode & 0o777).toBe(0o600);
    const { stdout } = await engine.call(["save", "busybox"]);
    expect(Buffer.compare(stdout, readFileSync(at("replaced")))).toBe(0);
    const piped = await engine.bash('"$MYDOCKER" save -o >(cat > "$1") busybox; wait $!', {
      args: [at("through-a-pipe")],
    });
    expect([piped.exitCode, piped.err]).toEqual([0, ""]);
    expect(Buffer.compare(readFileSync(at("through-a-pipe")), stdout)).toBe(0);
  });

  const refused: readonly (readonly [string, readonly string[], RegExp])[] = [
    ["a directory", ["-o", files], /^mydocker: cannot write to .*: it is a directory$/],
    ["a device", ["-o", "/dev/null"], /^mydocker: cannot write to \/dev\/null: it is a device$/],
    [
      "a directory that is missing",
      ["-o", at("missing/file")],
      /^mydocker: cannot write to .*missing\/file: no such file or directory$/,
    ],
    [
      "a directory with something in it",
      ["--format", "oci-dir", "-o", files],
      /^mydocker: save to .*: the directory is not empty; /,
    ],
    [
      "a directory as stdout",
      ["--format", "oci-dir"],
      /^mydocker: a directory cannot be written to stdout; name it: -o DIRECTORY$/,
    ],
    ["a full device", ["-o", "/dev/full"], /it is a device$/],
  ];
  for (const [what, options, message] of refused)
    test(`refuses ${what}`, async () => {
      const { exitCode, err } = await engine.call(["save", ...options, "busybox"]);
      expect(exitCode).toBe(1);
      expect(err).toMatch(message);
    });

  test("says so when stdout is full, and when its reader is gone", async () => {
    const full = await engine.bash('"$MYDOCKER" save busybox > /dev/full');
    expect([full.exitCode, full.err]).toEqual([
      1,
      "mydocker: write stdout: ENOSPC: no space left on device",
    ]);
    const gone = await engine.bash('"$MYDOCKER" save busybox | true; exit ${PIPESTATUS[0]}');
    expect(gone.exitCode).toBe(1);
    expect(gone.err).toContain("EPIPE");
  });

  test("leaves no directory behind when it fails", async () => {
    mkdirSync(at("empty"));
    for (const name of ["new", "empty"]) {
      const { exitCode } = await engine.call([
        ...["save", "--format", "oci-dir", "-o", at(name), "nowhere"],
      ]);
      expect(exitCode).toBe(1);
    }
    expect(existsSync(at("new"))).toBe(false);
    expect(readdirSync(at("empty"))).toEqual([]);
  });
});

describe("load says what is wrong", () => {
  const layer = archive({ name: "f", data: "x" });
  const sha = (bytes: Uint8Array | string) =>
    new Bun.CryptoHasher("sha256").update(bytes).digest("hex");
  const config = JSON.stringify({
    architecture: "amd64",
    os: "linux",
    rootfs: { type: "layers", diff_ids: [`sha256:${sha(layer)}`] },
  });
  const list = (item: object) => ({ name: "manifest.json", data: JSON.stringify([item]) });
  const image = { Config: "c.json", RepoTags: ["x:1"], Layers: ["l.tar"] };
  const good: Member[] = [
    list(image),
    { name: "c.json", data: config },
    { name: "l.tar", data: layer },
  ];
  const [, goodConfig = {}, goodLayer = {}] = good;
  const oci = (manifests: object[]) => ({
    name: "index.json",
    data: JSON.stringify({ schemaVersion: 2, manifests }),
  });
  /** Another image, in the OCI layout. */
  const ociImage = (name: string): Member[] => {
    const data = config.replace("amd64", "arm64");
    const blob = (bytes: string | Uint8Array) => ({
      name: `blobs/sha256/${sha(bytes)}`,
      data: bytes,
    });
    const described = (type: string, bytes: string | Uint8Array) => ({
      mediaType: `application/vnd.oci.image.${type}`,
      digest: `sha256:${sha(bytes)}`,
      size: bytes.length,
    });
    const manifest = JSON.stringify({
      schemaVersion: 2,
      config: described("config.v1+json", data),
      layers: [described("layer.v1.tar", layer)],
    });
    const annotations = { "io.containerd.image.name": name };
    return [
      oci([{ ...described("manifest.v1+json", manifest), annotations }]),
      ...[manifest, data, layer].map(blob),
    ];
  };
  const wrong: readonly (readonly [string, readonly (Member | Uint8Array)[], RegExp])[] = [
    ["nothing in it", [], /is empty|no archive of images/],
    [
      "no archive of images",
      [{ name: "etc/passwd", data: "x" }],
      /neither manifest.json nor index/,
    ],
    ["a list that is no JSON", [{ name: "manifest.json", data: "[" }], /is not JSON/],
    ["a list that is none", [{ name: "manifest.json", data: "{}" }], /no list of images/],
    ["a layer that is missing", [list(image), goodConfig], /"l.tar" is not in the archive/],
    ["a config that is missing", [list(image), goodLayer], /"c.json" that is not in the archive/],
    [
      "a config that is no JSON",
      [list(image), { name: "c.json", data: "{" }, goodLayer],
      /configuration .*JSON/,
    ],
    [
      "fewer layers than diff ids",
      [list({ ...image, Layers: [] }), goodConfig],
      /layers length mismatch: expected 1, got 0/,
    ],
    [
      "another layer",
      [list(image), goodConfig, { name: "l.tar", data: archive({ name: "f", data: "y" }) }],
      /the layer sha256:\w+ is not what its digest says/,
    ],
    [
      "a name that climbs",
      [list({ ...image, RepoTags: ["../../x"] }), goodConfig, goodLayer],
      /invalid reference format/,
    ],
    [
      "a layer that is a link out of it",
      [list(image), goodConfig, { name: "l.tar", type: "2", link: "/etc/passwd" }],
      /leads out of the archive/,
    ],
    [
      "a layer that is a link that climbs",
      [list(image), goodConfig, { name: "l.tar", type: "2", link: "../../../etc/passwd" }],
      /leads out of the archive/,
    ],
    [
      "a layer that is a link to itself",
      [list(image), goodConfig, { name: "l.tar", type: "2", link: "l.tar" }],
      /leads out of the archive, or nowhere/,
    ],
    [
      "a layer that is a device",
      [list(image), goodConfig, { name: "l.tar", type: "3", major: 1, minor: 3 }],
      /"l.tar" in the archive is a character/,
    ],
    [
      "a layer with a name that climbs",
      [list({ ...image, Layers: ["../../etc/passwd"] }), goodConfig],
      /"..\/..\/etc\/passwd" is not in the archive|nowhere/,
    ],
    ["a list that is there twice", [...good, list(image)], /"manifest.json" is in it twice/],
    ["a layer that is there twice", [...good, goodLayer], /"l.tar" is in it twice/],
    [
      "a name for two images",
      [...good, ...ociImage("docker.io/library/x:1")],
      /ambiguous: x:1 is sha256:\w+ by manifest.json, and sha256:\w+ by index.json/,
    ],
    ["a huge list", [{ name: "manifest.json", data: " ".repeat(5 << 20) }], /larger than 4 MiB/],
    [
      "a configuration that has another digest than its name",
      [
        list({ ...image, Config: `${"0".repeat(64)}.json` }),
        { name: `${"0".repeat(64)}.json`, data: config },
        goodLayer,
      ],
      /does not have that digest/,
    ],
    [
      "an index that names what is missing",
      [
        oci([
          {
            mediaType: "application/vnd.oci.image.manifest.v1+json",
            digest: `sha256:${"1".repeat(64)}`,
            size: 2,
          },
        ]),
      ],
      /the manifest sha256:1+ is not in the archive/,
    ],
    [
      "a layout of another version",
      [{ name: "oci-layout", data: '{"imageLayoutVersion":"2.0.0"}' }, oci([])],
      /version "2.0.0", which is not supported/,
    ],
  ];
  for (const [what, members, message] of wrong)
    test(`with ${what}, and keeps nothing`, async () => {
      const { exitCode, out, err } = await other.call(["load"], { stdin: archive(...members) });
      expect([exitCode, out]).toEqual([1, ""]);
      expect(err).toMatch(message);
      expect(err).toStartWith("mydocker: ");
      expect(err).not.toContain("\n");
      const left = ["ids", "layers", "names", "blobs/sha256", "tmp"].flatMap((kind) => {
        const path = join(other.root, "images", kind);
        return existsSync(path) ? readdirSync(path) : [];
      });
      expect(left).toEqual([]);
    });

  test("of an archive that is truncated, wherever it ends", async () => {
    const whole = archive(...good);
    expect(await succeed(other, ["load"], whole)).toBe("Loaded image: x:1");
    await removeAll(other);
    for (const length of [0, 100, 512, 700, 1600, 2100, 3000, 3600]) {
      const { exitCode, err } = await other.call(["load"], { stdin: whole.subarray(0, length) });
      expect([length, exitCode]).toEqual([length, 1]);
      expect(err).toMatch(/^mydocker: .*(truncated|empty|not in the archive|no archive)/);
      writeFileSync(at("truncated"), whole.subarray(0, length));
      expect((await other.call(["load", "-i", at("truncated")])).exitCode).toBe(1);
    }
    expect(await succeed(other, ["images", "-q"])).toBe("");
  });

  test("of a directory in which a blob is a link out of it, or would block whoever opens it", async () => {
    await succeed(engine, ["save", "--format", "oci-dir", "-o", at("dir"), "busybox"]);
    const index = readFileSync(join(at("dir"), "index.json"), "utf8");
    const [, digest = ""] = /"digest":"sha256:([0-9a-f]+)"/.exec(index) ?? [];
    const blob = join(at("dir"), "blobs/sha256", digest);
    renameSync(blob, at("outside"));
    for (const [make, message] of [
      [() => symlinkSync(at("outside"), blob), /goes through a symbolic link, or is no file/],
      [() => Bun.spawnSync(["mkfifo", blob]), /is no regular file/],
      [() => mkdirSync(blob), /is no regular file/],
    ] as const) {
      make();
      const { exitCode, err } = await other.call(["load", "-i", at("dir")]);
      expect(exitCode).toBe(1);
      expect(err).toMatch(message);
      rmSync(blob, { recursive: true });
    }
    expect(await succeed(other, ["images", "-q"])).toBe("");
  });

  test("of what cannot be opened", async () => {
    const missing = await other.call(["load", "-i", at("missing")]);
    expect([missing.exitCode, missing.err]).toEqual([
      1,
      `mydocker: open ${at("missing")}: no such file or directory`,
    ]);
  });
});

test("a container can be started after its image was removed by force, and then the layers go", async () => {
  await succeed(other, ["load", "-i", at("busybox.tar")]);
  await succeed(other, [
    "create",
    "--name",
    "kept",
    "--network",
    "none",
    "mine:1",
    "echo",
    "alive",
  ]);
  await succeed(other, ["rmi", "-f", "busybox", "mine:1"]);
  expect(await succeed(other, ["images", "-q"])).toBe("");
  expect(await succeed(other, ["start", "-a", "kept"])).toBe("alive");
  const left = () =>
    ["ids", "layers", "blobs/sha256", "kept"].map((kind) => {
      const path = join(other.root, "images", kind);
      return existsSync(path) ? readdirSync(path).length : 0;
    });
  expect(left()).toEqual([0, 1, 1, 1]);
  // Also when the image comes again, and goes again.
  await succeed(other, ["load", "-i", at("busybox.tar")]);
  await succeed(other, ["rmi", "-f", "busybox", "mine:1"]);
  expect(left()).toEqual([0, 1, 1, 1]);
  await succeed(other, ["rm", "kept"]);
  expect(left()).toEqual([0, 0, 0, 0]);
});

test("what was made is removed", async () => {
  await removeAll(engine);
  await succeed(engine, ["rmi", "mine:1"]);
});
leavesNothingBehind(engine);
