/**
 * Archives that try to write outside, to fill the memory or the disk, or to confuse. Each is
 * imported by the store itself; afterwards the outside is unchanged, and what was refused has left
 * nothing.
 */
import { afterEach, beforeEach, describe, expect } from "bun:test";
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { importTar } from "../../src/images/import.ts";
import { loadImages } from "../../src/images/load.ts";
import { openImageStore } from "../../src/images/store.ts";
import { close } from "../../src/linux/fd.ts";
import { getXattr } from "../../src/linux/xattr.ts";
import { root, testIf } from "../helpers/requires.ts";
import { archive, base256, concat, gnuLong, type Member, pax } from "../helpers/tar_builder.ts";

let directory: string;
let outside: string;
let state: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "mydocker-hostile-"));
  outside = join(directory, "outside");
  state = join(directory, "state");
  mkdirSync(outside);
  writeFileSync(join(outside, "canary"), "alive", { mode: 0o600 });
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

/** Everything about the outside that an archive could change. */
function outsideNow(): string {
  const facts = readdirSync(outside, { recursive: true })
    .sort()
    .map((name) => {
      const { mode, uid, gid, size, mtimeMs, nlink } = lstatSync(join(outside, String(name)));
      return `${name} ${mode} ${uid} ${gid} ${size} ${mtimeMs} ${nlink}`;
    });
  const { mode, uid, gid, mtimeMs } = lstatSync(outside);
  return [
    `${mode} ${uid} ${gid} ${mtimeMs}`,
    ...facts,
    readFileSync(join(outside, "canary"), "utf8"),
  ].join("\n");
}

async function importBytes(bytes: Uint8Array) {
  const file = join(directory, "archive");
  writeFileSync(file, bytes);
  const fd = openSync(file, "r");
  try {
    return await importTar(openImageStore(state), fd, "hostile");
  } finally {
    close(fd);
  }
}

/** Loads an image of one layer, in an archive such as `docker save` writes. */
async function loadBytes(layer: Uint8Array): Promise<{ id: string }> {
  const config = JSON.stringify({
    architecture: process.arch === "arm64" ? "arm64" : "amd64",
    os: "linux",
    rootfs: { type: "layers", diff_ids: [`sha256:${sha256(layer)}`] },
  });
  const item = { Config: "config.json", RepoTags: ["hostile:latest"], Layers: ["layer.tar"] };
  const file = join(directory, "archive");
  writeFileSync(
    file,
    archive(
      { name: "manifest.json", data: JSON.stringify([item]) },
      { name: "config.json", data: config },
      { name: "layer.tar", data: layer },
    ),
  );
  const fd = openSync(file, "r");
  try {
    const { images } = await loadImages(openImageStore(state), fd);
    return { id: images[0]?.id ?? "" };
  } finally {
    close(fd);
  }
}

const sha256 = (bytes: Uint8Array) => new Bun.CryptoHasher("sha256").update(bytes).digest("hex");

/** The ways into the store. */
const WAYS = { imported: importBytes, "loaded as a layer": loadBytes } as const;

/** What is in the store: nothing, after an archive was refused. */
function stored(): string[] {
  return ["ids", "layers", "names", "blobs/sha256", "tmp"].flatMap((kind) => {
    const path = join(state, "images", kind);
    return existsSync(path) ? readdirSync(path).map((name) => `${kind}/${name}`) : [];
  });
}

const gzip = (bytes: Uint8Array<ArrayBuffer>) => Bun.gzipSync(bytes);
const zstd = (bytes: Uint8Array<ArrayBuffer>) => Bun.zstdCompressSync(bytes);
const members =
  (...list: readonly (Member | Uint8Array)[]) =>
  () =>
    archive(...list);
const up = "../".repeat(12);
/** A file of zeroes. */
const zeroes = (size: number) => {
  const header = archive({ name: "zeroes", size }).subarray(0, 512);
  return concat([header, new Uint8Array(size)]);
};

const REFUSED: readonly (readonly [string, () => Uint8Array, RegExp])[] = [
  [
    "a name that climbs out",
    () => archive({ name: `${up}${outside.slice(1)}/canary`, data: "dead" }),
    /a name with "\.\."/,
  ],
  [
    "a name that climbs out and in again",
    members({ name: "a/../../b", data: "x" }),
    /a name with "\.\."/,
  ],
  ["a name that is ..", members({ name: "..", type: "5" }), /a name with "\.\."/],
  ["a name that climbs without leaving", members({ name: "a/../b" }), /a name with "\.\."/],
  [
    "a PAX name that climbs out",
    () => archive(pax([["path", `${up}${outside.slice(1)}/canary`]]), { name: "innocent" }),
    /a name with "\.\."/,
  ],
  [
    "a long GNU name that climbs out",
    () => archive(gnuLong(`${up}${outside.slice(1)}/canary`), { name: "innocent" }),
    /a name with "\.\."/,
  ],
  [
    "the name of a sparse file that climbs out",
    () =>
      archive(
        pax([
          ["GNU.sparse.name", "../x"],
          ["GNU.sparse.size", "1"],
          ["GNU.sparse.map", "0,1"],
        ]),
        { name: "innocent", data: "x" },
      ),
    /a name with "\.\."/,
  ],
  [
    "a file through an absolute symbolic link",
    () =>
      archive({ name: "link", type: "2", link: outside }, { name: "link/canary", data: "dead" }),
    /goes through a symbolic link/,
  ],
  [
    "a file through a climbing symbolic link",
    () =>
      archive(
        { name: "link", type: "2", link: `${up}${outside.slice(1)}` },
        { name: "link/canary", data: "dead" },
      ),
    /goes through a symbolic link/,
  ],
  [
    "a directory made through a symbolic link",
    () => archive({ name: "link", type: "2", link: outside }, { name: "link/new/", type: "5" }),
    /goes through a symbolic link/,
  ],
  [
    "an implied directory through a symbolic link",
    () => archive({ name: "link", type: "2", link: outside }, { name: "link/new/file", data: "x" }),
    /goes through a symbolic link/,
  ],
  [
    "a chain of symbolic links",
    () =>
      archive(
        { name: "a", type: "2", link: "b" },
        { name: "b", type: "2", link: outside },
        { name: "a/canary", data: "dead" },
      ),
    /goes through a symbolic link/,
  ],
  [
    "a symbolic link that stays inside",
    members(
      { name: "dir/", type: "5" },
      { name: "link", type: "2", link: "dir" },
      { name: "link/file", data: "x" },
    ),
    /goes through a symbolic link/,
  ],
  [
    "a directory that becomes a symbolic link",
    () =>
      archive(
        { name: "d/", type: "5" },
        { name: "d/a", data: "x" },
        { name: "d", type: "2", link: outside },
        { name: "d/canary", data: "dead" },
      ),
    /goes through a symbolic link/,
  ],
  [
    "a parent that becomes a symbolic link while it is open",
    () =>
      archive(
        { name: "p/d/a", data: "x" },
        { name: "p", type: "2", link: outside },
        { name: "p/d/b", data: "x" },
      ),
    /goes through a symbolic link/,
  ],
  [
    "a file as a directory",
    members({ name: "f", data: "x" }, { name: "f/g", data: "x" }),
    /goes through a symbolic link or a file/,
  ],
  [
    "a symbolic link into /proc",
    members(
      { name: "self", type: "2", link: "/proc/self/root" },
      { name: "self/etc/x", data: "x" },
    ),
    /goes through a symbolic link/,
  ],
  [
    "a hard link to an absolute name that is not inside",
    () =>
      archive({ name: "h", type: "1", link: join(outside, "canary") }, { name: "h", data: "dead" }),
    /which is not in it/,
  ],
  [
    "a hard link that climbs out",
    () => archive({ name: "h", type: "1", link: `${up}${outside.slice(1)}/canary` }),
    /a name with "\.\."/,
  ],
  [
    "a hard link through a symbolic link",
    () =>
      archive({ name: "l", type: "2", link: outside }, { name: "h", type: "1", link: "l/canary" }),
    /goes through a symbolic link/,
  ],
  [
    "a hard link made through a symbolic link",
    () =>
      archive(
        { name: "f", data: "x" },
        { name: "l", type: "2", link: outside },
        { name: "l/h", type: "1", link: "f" },
      ),
    /goes through a symbolic link/,
  ],
  [
    "a hard link to nothing",
    members({ name: "h", type: "1", link: "missing" }),
    /hard link "h" to "missing", which is not in it/,
  ],
  ["a hard link to itself", members({ name: "h", type: "1", link: "./h" }), /which is not in it/],
  [
    "a hard link to a directory",
    members({ name: "d/", type: "5" }, { name: "h", type: "1", link: "d" }),
    /cannot unpack "h": .*EPERM/,
  ],
  [
    "a hard link to the root",
    members({ name: "h", type: "1", link: "." }),
    /a hard link to the root directory/,
  ],
  ["a whiteout of ..", members({ name: "d/.wh..." }), /a whiteout of nothing/],
  ["a whiteout of .", members({ name: "d/.wh.." }), /a whiteout of nothing/],
  ["a whiteout of nothing", members({ name: "d/.wh." }), /a whiteout of nothing/],
  [
    "the root as a symbolic link",
    () => archive({ name: "./", type: "2", link: outside }),
    /would replace the root directory/,
  ],
  [
    "the root as a file",
    () => archive(pax([["path", "/"]]), { name: "x", type: "1", link: "y" }),
    /would replace the root directory/,
  ],
  [
    "an empty name",
    members({ name: "", type: "0", data: "x" }),
    /would replace the root directory/,
  ],
  [
    "a component that is too long",
    () => archive(pax([["path", "n".repeat(256)]]), { name: "x" }),
    /ENAMETOOLONG/,
  ],
  [
    "a name that is too long",
    () => archive(pax([["path", "n/".repeat(2100)]]), { name: "x" }),
    /more than 4095 bytes/,
  ],
  [
    "a link's target that is too long",
    () => archive(pax([["linkpath", "n/".repeat(2100)]]), { name: "x", type: "2" }),
    /ENAMETOOLONG/,
  ],
  ["a link to nothing at all", members({ name: "x", type: "2", link: "" }), /ENOENT/],
  [
    "an owner that chown(2) takes for no change",
    members({ name: "x", uid: base256(0xffff_ffffn, 8) }),
    /an owner 4294967295:0, which is out of range/,
  ],
  [
    "a negative owner",
    members({ name: "x", gid: base256(-1n, 8) }),
    /an owner 0:-1, which is out of range/,
  ],
  [
    "a device that the kernel cannot name",
    members({ name: "x", type: "3", major: 4096 }),
    /a device 4096:0, which is out of range/,
  ],
  [
    "an end in the middle",
    () => archive({ name: "x", data: "y".repeat(5000) }).subarray(0, 2000),
    /truncated/,
  ],
  ["a damaged header", members({ name: "x", checksum: "0000000\0" }), /bad header checksum/],
  ["a negative size", members({ name: "x", size: base256(-1024n) }), /negative size/],
  [
    "a gigantic extended header",
    members({ name: "x", type: "x", size: 1 << 30 }),
    /a header of 1073741824 bytes/,
  ],
  ["300 MB of zeroes in a file, compressed", () => gzip(zeroes(300 << 20)), /200 times its size/],
  [
    "300 MB of zeroes and nothing else, compressed",
    () => zstd(new Uint8Array(300 << 20)),
    /after its end/,
  ],
  [
    "gzip that ends too early",
    () =>
      gzip(archive({ name: "x", data: crypto.getRandomValues(new Uint8Array(60_000)) })).subarray(
        0,
        30_000,
      ),
    /the gzip data is truncated or damaged/,
  ],
  [
    "zstd that ends too early",
    () =>
      zstd(archive({ name: "x", data: crypto.getRandomValues(new Uint8Array(60_000)) })).subarray(
        0,
        30_000,
      ),
    /the zstd data is truncated or damaged/,
  ],
  [
    "gzip in which a byte is wrong",
    () => {
      const bytes = gzip(archive({ name: "x", data: "hello".repeat(1000) }));
      bytes[bytes.length - 6] = (bytes[bytes.length - 6] as number) ^ 1;
      return bytes;
    },
    /the gzip data is truncated or damaged/,
  ],
  ["bzip2", () => new TextEncoder().encode("BZh91AY&SY"), /bzip2 is not supported/],
  ["nothing", () => new Uint8Array(0), /is empty/],
];

describe("is refused, and leaves nothing", () => {
  const cases = REFUSED.flatMap(([name, make, message]) =>
    Object.entries(WAYS).map(([how, take]) => [`${name}, ${how}`, take, make, message] as const),
  );
  for (const [name, take, make, message] of cases)
    testIf([root()], name, async () => {
      const before = outsideNow();
      const error: unknown = await take(make()).catch((caught: unknown) => caught);
      expect(error).toBeInstanceOf(Error);
      expect((error as Error).message).toMatch(message);
      expect((error as Error).message).not.toContain("\n");
      expect((error as Error).message.length).toBeLessThan(600);
      expect(stored()).toEqual([]);
      expect(outsideNow()).toBe(before);
    });
});

/** A path in the layer that was made. */
const inLayer = (layer: string, name: string) => join(layer, name);

const HARMLESS: readonly (readonly [string, () => Uint8Array, (layer: string) => void])[] = [
  [
    "an absolute name is one inside",
    () => archive({ name: `${outside}/canary`, data: "inside" }),
    (layer) => expect(readFileSync(inLayer(layer, `${outside}/canary`), "utf8")).toBe("inside"),
  ],
  [
    "a file replaces a symbolic link, not what it leads to",
    () =>
      archive(
        { name: "f", type: "2", link: join(outside, "canary") },
        { name: "f", data: "inside" },
      ),
    (layer) => expect(lstatSync(inLayer(layer, "f")).isFile()).toBe(true),
  ],
  [
    "a directory replaces a symbolic link to one",
    () =>
      archive(
        { name: "d", type: "2", link: outside },
        { name: "d/", type: "5", mode: 0o700 },
        { name: "d/canary", data: "inside" },
      ),
    (layer) => expect(readFileSync(inLayer(layer, "d/canary"), "utf8")).toBe("inside"),
  ],
  [
    "owner, mode and time of a symbolic link are its own",
    () =>
      archive({ name: "l", type: "2", link: join(outside, "canary"), mode: 0o777, uid: 7, gid: 8 }),
    (layer) => {
      expect(readlinkSync(inLayer(layer, "l"))).toBe(join(outside, "canary"));
      expect(lstatSync(inLayer(layer, "l")).uid).toBe(7);
    },
  ],
  [
    "a hard link to a symbolic link is one to the link",
    () =>
      archive(
        { name: "l", type: "2", link: join(outside, "canary") },
        { name: "h", type: "1", link: "l" },
        { name: "h", data: "inside" },
      ),
    (layer) => expect(readFileSync(inLayer(layer, "h"), "utf8")).toBe("inside"),
  ],
  [
    // umoci writes whiteouts below a directory that the layer replaces by a link.
    "a whiteout through a symbolic link hides nothing",
    () => archive({ name: "l", type: "2", link: outside }, { name: "l/.wh.canary" }),
    (layer) => expect(readdirSync(layer)).toEqual(["l"]),
  ],
  [
    "an opaque whiteout through a symbolic link hides nothing",
    () => archive({ name: "l", type: "2", link: outside }, { name: "l/.wh..wh..opq" }),
    (layer) => expect(readdirSync(layer)).toEqual(["l"]),
  ],
  [
    "a whiteout of a symbolic link that the layer has leaves it",
    () => archive({ name: "l", type: "2", link: outside }, { name: ".wh.l" }),
    (layer) => expect(lstatSync(inLayer(layer, "l")).isSymbolicLink()).toBe(true),
  ],
  [
    "a device is made without being opened",
    members({ name: "tty", type: "3", major: 5, minor: 0 }),
    (layer) => expect(lstatSync(inLayer(layer, "tty")).isCharacterDevice()).toBe(true),
  ],
  [
    "a file replaces a FIFO, which would block whoever opens it",
    members({ name: "f", type: "6" }, { name: "f", data: "x" }),
    (layer) => expect(readFileSync(inLayer(layer, "f"), "utf8")).toBe("x"),
  ],
  [
    "attributes that overlayfs would believe are left out",
    () =>
      archive(
        pax([
          ["SCHILY.xattr.trusted.overlay.redirect", "/"],
          ["SCHILY.xattr.user.kept", "1"],
        ]),
        { name: "d/", type: "5" },
      ),
    (layer) => {
      expect(getXattr(inLayer(layer, "d"), "trusted.overlay.redirect")).toBeUndefined();
      expect(getXattr(inLayer(layer, "d"), "user.kept")).toEqual(Uint8Array.of(0x31));
    },
  ],
  [
    "directories as deep as a name can say",
    () =>
      archive(
        pax([["path", "d/".repeat(2000)]]),
        { name: "x", type: "5" },
        { name: "d", data: "replaced" },
      ),
    (layer) => expect(readFileSync(inLayer(layer, "d"), "utf8")).toBe("replaced"),
  ],
  [
    "a sparse file of a terabyte, which is a hole",
    () =>
      archive(
        pax([
          ["GNU.sparse.size", String(2 ** 40)],
          ["GNU.sparse.map", `${2 ** 40 - 1},1`],
        ]),
        { name: "s", data: "x" },
      ),
    (layer) => {
      const { size, blocks } = lstatSync(inLayer(layer, "s"));
      expect({ size, small: blocks < 100 }).toEqual({ size: 2 ** 40, small: true });
    },
  ],
];

describe("is harmless", () => {
  const cases = HARMLESS.flatMap(([name, make, check]) =>
    Object.entries(WAYS).map(([how, take]) => [`${name}, ${how}`, take, make, check] as const),
  );
  for (const [name, take, make, check] of cases)
    testIf([root()], name, async () => {
      const before = outsideNow();
      const { id } = await take(make());
      check(openImageStore(state).get(id)?.layers[0] as string);
      expect(outsideNow()).toBe(before);
    });
});
