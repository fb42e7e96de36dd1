/** Blobs and manifests in the store, without a registry. */
import { afterEach, beforeEach, expect } from "bun:test";
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { blobSize, placeBlob, storedManifests } from "../../src/images/blobs.ts";
import { collectLayers } from "../../src/images/collect.ts";
import { placeLayer } from "../../src/images/layer.ts";
import { LayerWriter } from "../../src/images/layer_writer.ts";
import { sha256Hex } from "../../src/images/layout.ts";
import { OCI_CONFIG, OCI_LAYER, OCI_MANIFEST } from "../../src/images/manifest.ts";
import { removeImage } from "../../src/images/remove.ts";
import { type ImageStore, openImageStore } from "../../src/images/store.ts";
import { root, testIf } from "../helpers/requires.ts";
import { archive } from "../helpers/tar_builder.ts";

let directory: string;
let store: ImageStore;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "mydocker-blobs-"));
  store = openImageStore(join(directory, "state"), LayerWriter);
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const digestOf = (bytes: Uint8Array | string) => `sha256:${sha256Hex(bytes)}`;

/** An image of one layer, which is its own blob. */
function placeImage(comment = "") {
  const layer = archive({ name: "file", data: `data${comment}` });
  const digest = digestOf(layer);
  const config = JSON.stringify({
    architecture: "amd64",
    os: "linux",
    rootfs: { type: "layers", diff_ids: [digest] },
  });
  const manifest = JSON.stringify({
    schemaVersion: 2,
    mediaType: OCI_MANIFEST,
    config: { mediaType: OCI_CONFIG, digest: digestOf(config), size: config.length },
    layers: [{ mediaType: OCI_LAYER, digest, size: layer.length }],
    annotations: { comment },
  });
  using staging = store.stage();
  using writer = new LayerWriter(staging, "files");
  writer.push(layer);
  using _layer = placeLayer(store.layout, digest, writer.end());
  const file = join(staging.path, "blob");
  writeFileSync(file, layer);
  using _blob = placeBlob(store.layout, digest, file);
  const bytes = new TextEncoder().encode(manifest);
  const id = store.placeImage(staging, new TextEncoder().encode(config), bytes);
  return { id, digest, layer, manifest: digestOf(bytes) };
}

testIf([root()], "an image keeps its blobs and manifests, and takes them along", () => {
  const { id, digest, layer, manifest } = placeImage();
  expect(blobSize(store.layout, digest)).toBe(layer.length);
  expect(storedManifests(store.layout, id)).toMatchObject([{ digest: manifest, blobs: [digest] }]);
  {
    using staging = store.stage();
    expect(collectLayers(store, staging)).toEqual([]);
  }
  expect(blobSize(store.layout, digest)).toBe(layer.length);
  removeImage(store, id, { usedBy: () => [] });
  expect(blobSize(store.layout, digest)).toBeUndefined();
  expect(existsSync(store.layout.image(id))).toBe(false);
});

testIf([root()], "the same image with another manifest has both", () => {
  const first = placeImage();
  // The same configuration; only the manifest differs.
  const second = JSON.stringify({
    schemaVersion: 2,
    layers: [{ mediaType: OCI_LAYER, digest: first.digest, size: first.layer.length }],
  });
  using staging = store.stage();
  const config = new TextEncoder().encode(JSON.stringify(store.readConfig(first.id)));
  expect(store.placeImage(staging, config, new TextEncoder().encode(second))).toBe(first.id);
  expect(
    storedManifests(store.layout, first.id)
      .map(({ digest }) => digest)
      .sort(),
  ).toEqual([first.manifest, digestOf(second)].sort());
});

testIf([root()], "a blob that is being placed is not collected, one that nobody names is", () => {
  const blob = new TextEncoder().encode("a blob");
  const digest = digestOf(blob);
  const file = join(directory, "state/images/blob");
  {
    using staging = store.stage();
    writeFileSync(file, blob);
    using _placing = placeBlob(store.layout, digest, file);
    collectLayers(store, staging);
    expect(blobSize(store.layout, digest)).toBe(blob.length);
  }
  using staging = store.stage();
  collectLayers(store, staging);
  expect(readdirSync(store.layout.blobs)).toEqual([]);
});

testIf([root()], "a manifest that is damaged is none", () => {
  const { id, digest } = placeImage();
  const [file = ""] = readdirSync(store.layout.manifests(id));
  writeFileSync(join(store.layout.manifests(id), file), "{}");
  expect(storedManifests(store.layout, id)).toEqual([]);
  expect(store.get(id)?.layers).toHaveLength(1);
  using staging = store.stage();
  collectLayers(store, staging);
  expect(blobSize(store.layout, digest)).toBeUndefined();
});
