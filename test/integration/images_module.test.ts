/** The image store on a real file system: unpacking, importing, naming, removing, and being killed meanwhile. */
import { afterEach, beforeEach, describe, expect } from "bun:test";
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { defaultImage } from "../../src/images/default_image.ts";
import { type ImportOptions, importTar } from "../../src/images/import.ts";
import { LayerWriter } from "../../src/images/layer_writer.ts";
import { listImages, tagImage } from "../../src/images/listing.ts";
import { type ImageUser, removeImage } from "../../src/images/remove.ts";
import { ensureDefaultImage, type ImageStore, openImageStore } from "../../src/images/store.ts";
import { close } from "../../src/linux/fd.ts";
import { umask } from "../../src/linux/process.ts";
import { getXattr, setXattr } from "../../src/linux/xattr.ts";
import { program, root, testIf } from "../helpers/requires.ts";
import { archive, concat, type Member, member, pax } from "../helpers/tar_builder.ts";
import { waitFor } from "../helpers/wait.ts";

let directory: string;
let state: string;
let store: ImageStore;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "mydocker-images-"));
  state = join(directory, "state");
  store = openImageStore(state, LayerWriter);
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const asRoot = (name: string, body: () => void | Promise<void>, timeout?: number) =>
  testIf([root()], name, body, timeout);

async function importFile(file: string, name?: string, options?: ImportOptions) {
  const fd = openSync(file, "r");
  try {
    return await importTar(store, fd, name, options);
  } finally {
    close(fd);
  }
}

async function importBytes(bytes: Uint8Array, name?: string, options?: ImportOptions) {
  const file = join(directory, "archive");
  writeFileSync(file, bytes);
  return await importFile(file, name, options);
}

const layerOf = (name: string) => store.resolve(name)?.layers[0] as string;
const entries = (kind: string) => {
  const path = join(state, "images", kind);
  return existsSync(path) ? readdirSync(path).sort() : [];
};
const none = () => [];

function run(...command: string[]): string {
  const { exitCode, stdout, stderr } = Bun.spawnSync(command);
  if (exitCode !== 0) throw new Error(`${command.join(" ")}: ${stderr}`);
  return stdout.toString();
}

/** Everything find(1) knows of a tree, but sizes of directories. */
function describeTree(path: string): string[] {
  const { stdout } = Bun.spawnSync(
    [
      "find",
      ".",
      "(",
      "-type",
      "d",
      "-printf",
      "%p %y %m %U:%G %T@\\0",
      ")",
      "-o",
      "-printf",
      "%p %y %m %U:%G %T@ %s %n %l\\0",
    ],
    { cwd: path },
  );
  return stdout.toString("latin1").split("\0").sort();
}

/** A tree with one of everything. */
function makeTree(): string {
  const tree = join(directory, "tree");
  mkdirSync(join(tree, "dir/sub"), { recursive: true });
  writeFileSync(join(tree, "dir/file"), "hello");
  chmodSync(join(tree, "dir/file"), 0o640);
  writeFileSync(join(tree, "dir/setuid"), "x");
  writeFileSync(join(tree, "empty"), "");
  writeFileSync(join(tree, "big"), Buffer.alloc(3_000_001, "0123456789"));
  writeFileSync(join(tree, "new\nline 'and' \"quotes\""), "x");
  writeFileSync(Buffer.concat([Buffer.from(`${tree}/bytes-`), Buffer.of(0xff, 0x80)]), "x");
  mkdirSync(join(tree, "d".repeat(200)));
  writeFileSync(join(tree, "d".repeat(200), "f".repeat(200)), "long");
  symlinkSync("dir/file", join(tree, "link"));
  symlinkSync("/nowhere/".padEnd(300, "x"), join(tree, "long-link"));
  run("chown", "-h", "12:34", join(tree, "link"));
  run("chown", "1000:2000", join(tree, "dir/file"));
  run("chown", "3000000:3000001", join(tree, "empty"));
  chmodSync(join(tree, "dir/setuid"), 0o4755);
  run("ln", join(tree, "dir/file"), join(tree, "dir/sub/hard"));
  run("mkfifo", "-m", "600", join(tree, "fifo"));
  run("mknod", "-m", "666", join(tree, "null"), "c", "1", "3");
  run("mknod", join(tree, "block"), "b", "259", "70000");
  run("truncate", "-s", "5M", join(tree, "hole"));
  const sparse = join(tree, "sparse");
  run(
    "sh",
    "-c",
    'for i in 1 2 3 4 5 6 7 8; do printf data | dd of="$0" bs=1M seek=$i conv=notrunc status=none; done; truncate -s 20M "$0"',
    sparse,
  );
  setXattr(join(tree, "dir/setuid"), "user.note", Uint8Array.of(0, 10, 61, 255));
  run("touch", "-d", "1999-12-31 23:59:59.123456789", join(tree, "dir/file"));
  run("touch", "-h", "-d", "1960-01-01 00:00:00.5", join(tree, "link"));
  chmodSync(join(tree, "dir/sub"), 0o2770);
  chmodSync(tree, 0o711);
  run("touch", "-d", "2001-02-03 04:05:06.7", join(tree, "dir"));
  run("touch", "-d", "2002-02-03 04:05:06.7", tree);
  return tree;
}

describe("unpacking", () => {
  const FORMATS = {
    "PAX, sparse 1.0": ["--format=posix", "--sparse", "--sparse-version=1.0"],
    "PAX, sparse 0.1": ["--format=posix", "--sparse", "--sparse-version=0.1"],
    "PAX, sparse 0.0": ["--format=posix", "--sparse", "--sparse-version=0.0"],
    "PAX, holes as zeroes": ["--format=posix"],
    "GNU, sparse": ["--format=gnu", "--sparse"],
  };
  for (const [name, options] of Object.entries(FORMATS))
    asRoot(`makes what GNU tar makes of its own archive: ${name}`, async () => {
      const tree = makeTree();
      const tar = join(directory, "tree.tar");
      const xattrs = name.startsWith("PAX") ? ["--xattrs", "--xattrs-include=*"] : [];
      run("tar", ...options, ...xattrs, "-cf", tar, "-C", tree, ".");
      const oracle = join(directory, "oracle");
      mkdirSync(oracle);
      run("tar", ...xattrs, "-xpf", tar, "-C", oracle, "--numeric-owner");
      const { warnings } = await importFile(tar, "tree");
      const layer = layerOf("tree");
      expect(warnings).toEqual([]);
      expect(describeTree(layer)).toEqual(describeTree(oracle));
      expect(
        run(
          "diff",
          "-r",
          "--no-dereference",
          "--exclude=fifo",
          "--exclude=null",
          "--exclude=block",
          oracle,
          layer,
        ),
      ).toBe("");
      expect(lstatSync(join(layer, "block")).rdev).toBe(lstatSync(join(tree, "block")).rdev);
      if (xattrs.length > 0)
        expect(getXattr(join(layer, "dir/setuid"), "user.note")).toEqual(
          Uint8Array.of(0, 10, 61, 255),
        );
      if (options.includes("--sparse")) {
        expect(lstatSync(join(layer, "hole")).blocks).toBe(0);
        expect(lstatSync(join(layer, "sparse")).blocks).toBeLessThan(200);
      }
    });

  asRoot("keeps capabilities, which chown(2) and writing would clear", async () => {
    // struct vfs_cap_data, version 2: CAP_NET_RAW permitted and effective.
    const capability = Uint8Array.of(1, 0, 0, 2, 0, 32, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
    await importBytes(
      archive(pax([["SCHILY.xattr.security.capability", capability]]), {
        name: "ping",
        mode: 0o755,
        uid: 5,
        data: "x",
      }),
      "caps",
    );
    expect(getXattr(join(layerOf("caps"), "ping"), "security.capability")).toEqual(capability);
  });

  asRoot("says which attributes the file system does not take", async () => {
    const { warnings } = await importBytes(
      archive(pax([["SCHILY.xattr.user.a", "x"]]), { name: "link", type: "2", link: "y" }),
    );
    expect(warnings).toEqual(['"link" loses its attribute user.a']);
  });

  asRoot("does not depend on umask", async () => {
    const before = umask(0o077);
    try {
      await importBytes(
        archive({ name: "a/b/c", mode: 0o666, data: "x" }, { name: "d/", type: "5", mode: 0o777 }),
        "masked",
      );
    } finally {
      umask(before);
    }
    const layer = layerOf("masked");
    const modes = ["", "a", "a/b", "a/b/c", "d"].map((name) =>
      (lstatSync(join(layer, name)).mode & 0o7777).toString(8),
    );
    expect(modes).toEqual(["755", "755", "755", "666", "777"]);
  });

  asRoot(
    "does not let a directory's setgid bit choose the group of what comes into it",
    async () => {
      await importBytes(
        archive(
          { name: "d/", type: "5", mode: 0o2775, gid: 50 },
          { name: "d/f", data: "x" },
          { name: "d/s/", type: "5", mode: 0o755 },
        ),
        "setgid",
      );
      const facts = ["d", "d/f", "d/s"].map((name) => {
        const { gid, mode } = lstatSync(join(layerOf("setgid"), name));
        return `${gid} ${(mode & 0o7777).toString(8)}`;
      });
      expect(facts).toEqual(["50 2775", "0 644", "0 755"]);
    },
  );

  asRoot("lets later members replace earlier ones", async () => {
    await importBytes(
      archive(
        { name: "file-dir", data: "x" },
        { name: "file-dir/", type: "5" },
        { name: "dir-file/inner/", type: "5" },
        { name: "dir-file/inner/f", data: "x" },
        { name: "dir-file", data: "second" },
        { name: "dir-dir/", type: "5", mode: 0o700 },
        { name: "dir-dir/kept", data: "x" },
        { name: "dir-dir/", type: "5", mode: 0o750, uid: 9, mtime: 77 },
        { name: "twice", data: "first, and longer" },
        { name: "twice", data: "second" },
        { name: "a", data: "shared" },
        { name: "b", type: "1", link: "a" },
        { name: "b", data: "alone" },
      ),
      "replaced",
    );
    const layer = layerOf("replaced");
    const text = (name: string) => readFileSync(join(layer, name), "utf8");
    expect(lstatSync(join(layer, "file-dir")).isDirectory()).toBe(true);
    expect([text("dir-file"), text("twice"), text("a"), text("b"), text("dir-dir/kept")]).toEqual([
      "second",
      "second",
      "shared",
      "alone",
      "x",
    ]);
    const { mode, uid, mtimeMs } = lstatSync(join(layer, "dir-dir"));
    expect({ mode: mode & 0o7777, uid, mtimeMs }).toEqual({ mode: 0o750, uid: 9, mtimeMs: 77_000 });
  });

  asRoot("leaves out whiteouts below what is a link in the layer", async () => {
    const { warnings } = await importBytes(
      archive(
        { name: "link", type: "2", link: "/etc" },
        { name: "link/.wh.passwd" },
        { name: "file" },
        { name: "file/.wh.x" },
      ),
      "x",
    );
    expect(warnings).toEqual([]);
    expect(readdirSync(layerOf("x")).sort()).toEqual(["file", "link"]);
  });

  testIf([root(), program("unshare")], "makes whiteouts that overlayfs obeys", async () => {
    await importBytes(
      archive(
        { name: "gone", data: "x" },
        { name: "kept", data: "x" },
        { name: "opaque/old", data: "x" },
        { name: "again/old", data: "x" },
        { name: "dir/gone", data: "x" },
      ),
      "lower",
    );
    await importBytes(
      archive(
        { name: ".wh.gone" },
        { name: "opaque/.wh..wh..opq" },
        { name: "opaque/new", data: "x" },
        { name: ".wh.again" },
        { name: "again/", type: "5" },
        { name: "again/new", data: "x" },
        { name: "dir/.wh.gone" },
        { name: ".wh..wh.plnk", data: "a note of aufs" },
        { name: "both", data: "x" },
        { name: ".wh.both" },
      ),
      "upper",
    );
    const target = join(directory, "mounted");
    mkdirSync(target);
    const seen = run(
      "unshare",
      "-m",
      "sh",
      "-c",
      'mount -t overlay -o "ro,lowerdir=$1:$2" overlay "$3" && cd "$3" && find . -type f',
      "sh",
      layerOf("upper"),
      layerOf("lower"),
      target,
    );
    expect(seen.trim().split("\n").sort()).toEqual([
      "./again/new",
      "./both",
      "./kept",
      "./opaque/new",
    ]);
  });
});

describe("importing", () => {
  const tar = archive({ name: "file", data: "hello" });
  const digest = (bytes: Uint8Array) =>
    `sha256:${new Bun.CryptoHasher("sha256").update(bytes).digest("hex")}`;

  asRoot("makes an image of one layer, whose id is the digest of its configuration", async () => {
    const created = new Date("2024-05-06T07:08:09.123Z");
    const { id } = await importBytes(tar, "me/app:v1", {
      changes: ['CMD ["/file"]', "ENV A=1"],
      message: "hi",
      created,
    });
    const bytes = readFileSync(join(state, "images/ids", id.slice(7), "config.json"));
    expect(id).toBe(digest(bytes));
    expect(JSON.parse(bytes.toString())).toEqual({
      created: created.toISOString(),
      architecture: process.arch === "arm64" ? "arm64" : "amd64",
      os: "linux",
      config: { Cmd: ["/file"], Env: ["A=1"] },
      rootfs: { type: "layers", diff_ids: [digest(tar)] },
      history: [{ created: created.toISOString(), comment: "hi" }],
    });
    expect(store.resolve("me/app:v1")).toMatchObject({
      id,
      references: ["me/app:v1"],
      size: 5,
      layers: [join(state, "images/layers", digest(tar).slice(7), "diff")],
    });
  });

  const half = Math.floor(tar.length / 2);
  const COMPRESSED: Record<string, () => Uint8Array> = {
    gzip: () => Bun.gzipSync(tar),
    zstd: () => Bun.zstdCompressSync(tar),
    "several gzip members": () =>
      concat([Bun.gzipSync(tar.slice(0, half)), Bun.gzipSync(tar.slice(half))]),
    "several zstd frames": () =>
      concat([Bun.zstdCompressSync(tar.slice(0, half)), Bun.zstdCompressSync(tar.slice(half))]),
    "a skippable zstd frame first": () =>
      concat([Uint8Array.of(0x50, 0x2a, 0x4d, 0x18, 2, 0, 0, 0, 1, 2), Bun.zstdCompressSync(tar)]),
  };
  for (const [name, compress] of Object.entries(COMPRESSED))
    asRoot(`reads ${name}, and takes the digest of what is inside`, async () => {
      await importBytes(compress(), "x");
      expect(store.resolve("x")?.config.rootfs.diff_ids).toEqual([digest(tar)]);
      expect(readFileSync(join(layerOf("x"), "file"), "utf8")).toBe("hello");
    });

  asRoot("keeps one copy of a layer that two images have", async () => {
    const first = await importBytes(tar, "a", { message: "a" });
    const second = await importBytes(tar, "b", { message: "b" });
    expect(first.id).not.toBe(second.id);
    expect(layerOf("a")).toBe(layerOf("b"));
    removeImage(store, "a", { usedBy: none });
    expect(readFileSync(join(layerOf("b"), "file"), "utf8")).toBe("hello");
    removeImage(store, "b", { usedBy: none });
    expect([entries("layers"), entries("ids"), entries("names"), entries("tmp")]).toEqual([
      [],
      [],
      [],
      [],
    ]);
  });

  asRoot("takes a name from the image that had it", async () => {
    const first = await importBytes(tar, "x", { message: "1" });
    const second = await importBytes(tar, "x", { message: "2" });
    expect(store.resolve("x")?.id).toBe(second.id);
    expect(store.get(first.id)?.references).toEqual([]);
  });

  asRoot("reads a wrong name or change before anything else", async () => {
    expect(importBytes(tar, "Wrong")).rejects.toThrow("must be lowercase");
    expect(importBytes(tar, "x", { changes: ["RUN x"] })).rejects.toThrow(
      "RUN is not a valid change command",
    );
    expect(existsSync(state)).toBe(false);
  });

  testIf([root(), program("unshare")], "a full disk is said, and leaves nothing", async () => {
    // A file system of our own, in a mount namespace that goes with the process.
    const script = `
      import { importTar } from "${import.meta.dir}/../../src/images/import.ts";
      import { openImageStore } from "${import.meta.dir}/../../src/images/store.ts";
      import { readdirSync } from "node:fs";
      try { await importTar(openImageStore("${state}"), 0, "x"); console.log("imported"); }
      catch (error) { console.log(error.message); }
      for (const kind of ["ids", "layers", "names", "tmp"])
        try { console.log(kind, readdirSync("${state}/images/" + kind).length); } catch {}
    `;
    writeFileSync(join(directory, "full.ts"), script);
    writeFileSync(
      join(directory, "archive"),
      archive({ name: "big", data: Buffer.alloc(4 << 20, "x") }),
    );
    mkdirSync(state);
    const said = run(
      "unshare",
      "-m",
      "sh",
      "-c",
      'mount -t tmpfs -o size=2m tmpfs "$1" && "$2" "$3" < "$4"',
      "sh",
      state,
      process.execPath,
      join(directory, "full.ts"),
      join(directory, "archive"),
    );
    expect(said.trim().split("\n")).toEqual([
      'cannot unpack "big": write: ENOSPC: no space left on device',
      "ids 0",
      "layers 0",
    ]);
  });
});

describe("a process that is killed", () => {
  const importer = `
    import { importTar } from "${import.meta.dir}/../../src/images/import.ts";
    import { openImageStore } from "${import.meta.dir}/../../src/images/store.ts";
    await importTar(openImageStore(process.argv[2]), 0, "killed");
  `;

  asRoot("in the middle of an import leaves what the next writing command removes", async () => {
    writeFileSync(join(directory, "importer.ts"), importer);
    const child = Bun.spawn([process.execPath, join(directory, "importer.ts"), state], {
      stdin: "pipe",
    });
    // A file of which the end never comes.
    child.stdin.write(member({ name: "file", data: "x".repeat(2048), size: 4096 }));
    await child.stdin.flush();
    await waitFor("the import to begin", () =>
      entries("tmp").some((name) => existsSync(join(state, "images/tmp", name, "layer/diff/file"))),
    );
    const [dying] = entries("tmp") as [string];

    // While it lives it is spared.
    await importBytes(archive({ name: "a" }), "alive");
    expect(entries("tmp")).toEqual([dying]);
    expect(listImages(store).images).toHaveLength(1);

    child.kill("SIGKILL");
    await child.exited;
    expect(store.resolve("killed")).toBeUndefined();
    expect(listImages(store).images).toHaveLength(1);
    tagImage(store, "alive", "again");
    expect(entries("tmp")).toEqual([]);
  });

  asRoot(
    "between placing a layer and its image leaves a layer that the next import removes",
    async () => {
      await importBytes(archive({ name: "a" }), "a");
      const id = store.resolve("a")?.id ?? "";
      // As it is at that moment: the layer is there, no image has it.
      rmSync(join(state, "images/ids", id.slice(7)), { recursive: true });
      await importBytes(archive({ name: "b" }), "b");
      expect(entries("layers")).toEqual([
        store.resolve("b")?.config.rootfs.diff_ids[0]?.slice(7) as string,
      ]);
    },
  );
});

describe("the default image", () => {
  asRoot("comes at its first use, and then stays as it is", () => {
    expect(listImages(store).images).toEqual([]);
    const image = store.resolve("busybox");
    expect(image?.references).toEqual(["busybox:latest"]);
    expect(image?.config.config?.Cmd).toEqual(["sh"]);
    expect(run(join(image?.layers[0] as string, "bin/busybox"), "echo", "hi")).toBe("hi\n");
    const written = lstatSync(
      join(state, "images/names", "docker.io%2Flibrary%2Fbusybox:latest"),
    ).ctimeMs;
    expect(store.resolve("docker.io/library/busybox:latest")?.id).toBe(image?.id as string);
    expect(ensureDefaultImage(store).id).toBe(image?.id as string);
    expect(
      lstatSync(join(state, "images/names", "docker.io%2Flibrary%2Fbusybox:latest")).ctimeMs,
    ).toBe(written);
  });

  asRoot("comes back after it was removed", () => {
    const first = store.resolve("busybox");
    expect(removeImage(store, "busybox", { usedBy: none })).toEqual([
      { action: "Untagged", what: "busybox:latest", imageId: first?.id as string },
      { action: "Deleted", what: first?.id as string, imageId: first?.id as string },
      { action: "Deleted", what: defaultImage.layers[0]?.diffId as string },
    ]);
    expect([entries("ids"), entries("layers"), entries("names"), entries("tmp")]).toEqual([
      [],
      [],
      [],
      [],
    ]);
    expect(store.resolve("busybox")?.id).toBe(first?.id as string);
  });

  asRoot("leaves its name to another image, and is still there", async () => {
    const { id } = await importBytes(archive({ name: "a" }), "busybox");
    expect(store.resolve("busybox")?.id).toBe(id);
    const own = ensureDefaultImage(store);
    expect(own.id).not.toBe(id);
    expect(store.resolve("busybox")?.id).toBe(id);
  });

  asRoot("moves its name when the executable brings another one", async () => {
    const { id } = await importBytes(archive({ name: "old" }), "busybox");
    const file = join(state, "images/names", "docker.io%2Flibrary%2Fbusybox:latest");
    writeFileSync(
      file,
      JSON.stringify({ ...JSON.parse(readFileSync(file, "utf8")), embedded: true }),
    );
    expect(store.resolve("busybox")?.id).toBe(ensureDefaultImage(store).id);
    expect(store.get(id)?.references).toEqual([]);
  });

  asRoot("may be used first by many processes at once", async () => {
    const script = `
      import { LayerWriter } from "${import.meta.dir}/../../src/images/layer_writer.ts";
      import { openImageStore } from "${import.meta.dir}/../../src/images/store.ts";
      const image = openImageStore("${state}", LayerWriter).resolve("busybox");
      console.log(image.id, (await Bun.file(image.layers[0] + "/bin/busybox").bytes()).length);
    `;
    writeFileSync(join(directory, "first.ts"), script);
    const said = await Promise.all(
      Array.from({ length: 8 }, () =>
        new Response(
          Bun.spawn([process.execPath, join(directory, "first.ts")], { stderr: "inherit" }).stdout,
        ).text(),
      ),
    );
    const [busybox] = [store.resolve("busybox")];
    const size = lstatSync(join(busybox?.layers[0] as string, "bin/busybox")).size;
    expect(said).toEqual(Array.from({ length: 8 }, () => `${busybox?.id} ${size}\n`));
    expect([entries("ids").length, entries("layers").length, entries("tmp").length]).toEqual([
      1, 1, 0,
    ]);
  });
});

describe("resolving", () => {
  const image = (text: string): Member => ({ name: "f", data: text });

  asRoot("finds by name, id, and the beginning of an id", async () => {
    const { id } = await importBytes(archive(image("1")), "localhost:5000/a/b:x");
    for (const text of ["localhost:5000/a/b:x", id, id.slice(7), id.slice(7, 19), id.slice(0, 12)])
      expect(store.resolve(text)?.id).toBe(id);
    for (const text of ["localhost:5000/a/b", "a/b:x", "0".repeat(64), "[", "", "../names"])
      expect(store.resolve(text)).toBeUndefined();
  });

  asRoot("refuses the beginning of two ids", async () => {
    // Two ids that begin alike are found by trying.
    const ids: string[] = [];
    for (let i = 0; i < 17; i++)
      ids.push((await importBytes(archive(image("x")), undefined, { message: String(i) })).id);
    const seen = new Set<string>();
    const digit = ids
      .map((id) => id.charAt(7))
      .find((first) => seen.size === seen.add(first).size) as string;
    expect(() => store.resolve(digit)).toThrow(`"${digit}" is the beginning of`);
  });

  asRoot("prefers a name to the beginning of an id", async () => {
    const first = await importBytes(archive(image("1")));
    const name = first.id.slice(7, 15);
    const second = await importBytes(archive(image("2")), name);
    expect(store.resolve(name)?.id).toBe(second.id);
  });

  asRoot("takes names that are too long for a file", async () => {
    const name = `example.com/${"a".repeat(100)}/${"b".repeat(130)}:${"t".repeat(128)}`;
    const { id } = await importBytes(archive(image("1")), name);
    expect(store.resolve(name)?.id).toBe(id);
    expect(store.get(id)?.references).toEqual([name]);
  });
});

describe("a damaged image", () => {
  const damage: Record<string, (id: string) => void> = {
    "whose configuration was changed": (id) =>
      writeFileSync(join(state, "images/ids", id.slice(7), "config.json"), "{}"),
    "whose configuration is gone": (id) =>
      rmSync(join(state, "images/ids", id.slice(7), "config.json")),
    "whose layer is gone": (id) => rmSync(store.get(id)?.layers[0] as string, { recursive: true }),
  };
  for (const [name, break_] of Object.entries(damage))
    asRoot(`${name} is named, harms no other, and can be removed`, async () => {
      const { id } = await importBytes(archive({ name: "bad" }), "bad");
      await importBytes(archive({ name: "good" }), "good");
      break_(id);
      expect(() => store.resolve("bad")).toThrow(`the image ${id} is damaged`);
      const { images, problems } = listImages(store);
      expect(images.map(({ image }) => image.references)).toEqual([["good:latest"]]);
      expect(problems.map(({ message }) => message.includes(id))).toEqual([true]);
      expect(removeImage(store, "bad", { usedBy: none }).slice(0, 2)).toEqual([
        { action: "Untagged", what: "bad:latest", imageId: id },
        { action: "Deleted", what: id, imageId: id },
      ]);
      expect(listImages(store).problems).toEqual([]);
      expect(existsSync(join(layerOf("good"), "good"))).toBe(true);
    });

  asRoot("name is a problem of its own", async () => {
    await importBytes(archive({ name: "a" }), "a");
    writeFileSync(join(state, "images/names/docker.io%2Flibrary%2Fb:latest"), "{");
    const { images, problems } = listImages(store);
    expect(images).toHaveLength(1);
    expect(problems[0]?.message).toContain("b:latest");
    expect(() => store.resolve("b")).toThrow("an image's name is damaged");
  });
});

describe("removing, by Docker's rules", () => {
  const stopped: ImageUser = { id: "c".repeat(64), running: false };
  const running: ImageUser = { id: "d".repeat(64), running: true };
  const remove = (text: string, force = false, users: ImageUser[] = []) =>
    removeImage(store, text, { force, usedBy: () => users }).map(
      ({ action, what }) => `${action}: ${what}`,
    );
  let id: string;
  let short: string;
  let layer: string;
  const setUp = async (...names: string[]) => {
    const made = await importBytes(archive({ name: "a", data: "x" }), names[0]);
    id = made.id;
    short = id.slice(7, 19);
    layer = store.get(id)?.config.rootfs.diff_ids[0] as string;
    for (const name of names.slice(1)) tagImage(store, id, name);
  };

  asRoot("a name that is not the last one goes alone", async () => {
    await setUp("a", "b:1");
    expect(remove("a")).toEqual(["Untagged: a:latest"]);
    expect(remove("b:1")).toEqual(["Untagged: b:1", `Deleted: ${id}`, `Deleted: ${layer}`]);
    expect([entries("ids"), entries("layers"), entries("tmp")]).toEqual([[], [], []]);
  });

  asRoot("an id takes the image with its only name", async () => {
    await setUp("a");
    expect(remove(short)).toEqual(["Untagged: a:latest", `Deleted: ${id}`, `Deleted: ${layer}`]);
  });

  asRoot("an id of an image without a name", async () => {
    const { id: dangling } = await importBytes(archive({ name: "a" }));
    expect(remove(dangling)[0]).toBe(`Deleted: ${dangling}`);
  });

  asRoot("an id with several names needs force", async () => {
    await setUp("a", "b");
    expect(() => remove(short)).toThrow(
      `conflict: unable to delete ${short} (must be forced) - image is referenced in multiple repositories`,
    );
    expect(remove(short, true).sort()).toEqual(
      [`Deleted: ${id}`, `Deleted: ${layer}`, "Untagged: a:latest", "Untagged: b:latest"].sort(),
    );
  });

  asRoot("a stopped container keeps the image, unless by force", async () => {
    await setUp("a");
    expect(() => remove("a", false, [stopped])).toThrow(
      `conflict: unable to remove repository reference "a" (must force) - container cccccccccccc is using its referenced image ${short}`,
    );
    expect(() => remove(short, false, [stopped])).toThrow(
      `conflict: unable to delete ${short} (must be forced) - image is being used by stopped container cccccccccccc`,
    );
    expect(store.resolve("a")?.id).toBe(id);
    expect(remove("a", true, [stopped])).toHaveLength(2);
  });

  asRoot("a running container keeps the image also by force, but not its name", async () => {
    await setUp("a");
    expect(() => remove(short, true, [running])).toThrow(
      `conflict: unable to delete ${short} (cannot be forced) - image is being used by running container dddddddddddd`,
    );
    expect(remove("a", true, [running])).toEqual(["Untagged: a:latest"]);
    expect(store.get(id)).toBeDefined();
  });

  asRoot("what is not here", async () => {
    await setUp("a");
    expect(() => remove("x")).toThrow("No such image: x:latest");
    expect(() => remove("0".repeat(64))).toThrow(`No such image: ${"0".repeat(64)}`);
    expect(() => remove("B")).toThrow("must be lowercase");
    // No digit of an id: it could be the beginning of the one that is here.
    expect(() => tagImage(store, "x", "c")).toThrow("No such image: x");
  });

  asRoot("an image that is held is waited for", async () => {
    await setUp("a");
    const script = `
      import { removeImage } from "${import.meta.dir}/../../src/images/remove.ts";
      import { openImageStore } from "${import.meta.dir}/../../src/images/store.ts";
      console.log("ready");
      removeImage(openImageStore("${state}"), "a", { usedBy: () => [] });
    `;
    writeFileSync(join(directory, "remove.ts"), script);
    const held = store.hold(id);
    const child = Bun.spawn([process.execPath, join(directory, "remove.ts")]);
    const reader = child.stdout.getReader();
    await reader.read();
    await Bun.sleep(100);
    expect(store.resolve("a")?.id).toBe(id);
    held?.[Symbol.dispose]();
    expect(await child.exited).toBe(0);
    expect(store.resolve("a")).toBeUndefined();
  });
});
