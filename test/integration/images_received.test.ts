/** Layers on their way into the store: checked against what their manifests say, and kept as blobs. */
import { afterEach, beforeEach, describe, expect } from "bun:test";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { storedManifests } from "../../src/images/blobs.ts";
import { StreamSource } from "../../src/images/chunk_source.ts";
import { layerCompression, parseManifest } from "../../src/images/manifest.ts";
import { placeNewImage } from "../../src/images/place_image.ts";
import { type LayerExpectation, receiveLayer } from "../../src/images/receive_layer.ts";
import { type ImageStore, openImageStore } from "../../src/images/store.ts";
import { root, testIf } from "../helpers/requires.ts";
import { archive } from "../helpers/tar_builder.ts";

let directory: string;
let store: ImageStore;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "mydocker-received-"));
  store = openImageStore(directory);
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const asRoot = (name: string, body: () => void | Promise<void>) => testIf([root()], name, body);
const sha256 = (bytes: Uint8Array) =>
  `sha256:${new Bun.CryptoHasher("sha256").update(bytes).digest("hex")}`;
const random = (length: number) => {
  const bytes = new Uint8Array(length);
  for (let at = 0; at < length; at += 65536) crypto.getRandomValues(bytes.subarray(at, at + 65536));
  return bytes;
};

async function* pieces(bytes: Uint8Array, length: number) {
  for (let at = 0; at < bytes.length; at += length) yield bytes.slice(at, at + length);
}

/** What is in the store, but for its directories. */
const stored = () =>
  readdirSync(join(directory, "images"), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => entry.name);

async function receive(bytes: Uint8Array, expected: LayerExpectation = {}, length = 4093) {
  using staging = store.stage();
  const layer = await receiveLayer(staging, "0", new StreamSource(pieces(bytes, length)), expected);
  const blob = readFileSync(layer.blob.path);
  const config = {
    architecture: "amd64",
    os: "linux",
    rootfs: { type: "layers", diff_ids: [layer.diffId] },
  };
  const id = placeNewImage(store, staging, Buffer.from(JSON.stringify(config)), [layer]);
  return { id, layer, blob };
}

const tar = archive({ name: "small", data: "hello" }, { name: "large", data: random(3 << 20) });

describe("a layer that comes as a plain tar", () => {
  asRoot("is kept compressed, by the same bytes whatever the pieces it comes in", async () => {
    const { id, layer, blob } = await receive(tar, { digest: sha256(tar), size: tar.length });
    expect(layer.diffId).toBe(sha256(tar));
    expect(layer.blob).toMatchObject({
      digest: sha256(blob),
      size: blob.length,
      compression: "gzip",
    });
    // gzip(1), since it reads all members of a file.
    const { stdout } = Bun.spawnSync(["gzip", "-dc"], { stdin: blob });
    expect(Buffer.compare(stdout, tar)).toBe(0);
    expect((await receive(tar, {}, 1 << 21)).layer.blob.digest).toBe(layer.blob.digest);
    expect((await receive(tar, {}, 100)).id).toBe(id);

    const [manifest] = storedManifests(store.layout, id);
    const parsed = parseManifest(manifest?.bytes ?? new Uint8Array(), undefined, "it");
    if (parsed.kind !== "manifest") throw new Error(parsed.kind);
    expect(parsed.config.digest).toBe(id);
    expect(parsed.layers.map(({ digest, size }) => ({ digest, size }))).toEqual([
      { digest: sha256(blob), size: blob.length },
    ]);
    expect(layerCompression(parsed.layers[0]?.mediaType ?? "")).toBe("gzip");
    expect(Buffer.compare(readFileSync(store.layout.blob(layer.blob.digest)), blob)).toBe(0);
  });
});

describe("a layer that comes compressed", () => {
  for (const [name, compress] of [
    ["gzip", Bun.gzipSync],
    ["zstd", Bun.zstdCompressSync],
  ] as const)
    asRoot(`with ${name} is kept as it came`, async () => {
      const bytes = compress(tar);
      const { layer, blob } = await receive(bytes, {
        digest: sha256(bytes),
        size: bytes.length,
        diffId: sha256(tar),
      });
      expect(Buffer.compare(blob, bytes)).toBe(0);
      expect(layer).toMatchObject({ diffId: sha256(tar), blob: { compression: name } });
    });
});

describe("is refused, and leaves nothing:", () => {
  const compressed = Bun.gzipSync(tar);
  const wrong = `sha256:${"0".repeat(64)}`;
  const REFUSED: readonly (readonly [string, Uint8Array, LayerExpectation, string])[] = [
    [
      "another digest",
      compressed,
      { digest: wrong },
      `the blob ${wrong} is not what its digest says`,
    ],
    [
      "another digest of a plain tar",
      tar,
      { digest: wrong },
      `the blob ${wrong} is not what its digest says`,
    ],
    [
      "another diff id",
      compressed,
      { diffId: wrong },
      `the layer ${wrong} is not what its digest says`,
    ],
    [
      "more bytes than said",
      compressed,
      { digest: sha256(compressed), size: 100 },
      "is larger than the 100 bytes",
    ],
    [
      "fewer bytes than said",
      compressed,
      { digest: sha256(compressed), size: compressed.length + 1 },
      `has ${compressed.length} bytes, and not the ${compressed.length + 1}`,
    ],
    ["bytes after the end", Buffer.concat([compressed, Buffer.of(1, 2, 3)]), {}, "damaged"],
  ];
  for (const [name, bytes, expected, message] of REFUSED)
    asRoot(name, async () => {
      await expect(receive(bytes, expected)).rejects.toThrow(message);
      expect(stored()).toEqual([]);
      expect(existsSync(store.layout.staging)).toBe(false);
    });
});
