/** An image as registries and archives have it: a manifest, a configuration, and layers compressed as they came. */
import type { MydockerError } from "../errors.ts";
import { isErrno } from "../ffi/call.ts";
import { close, O, open } from "../linux/fd.ts";
import { ifExists, readFileBytes, statFd } from "../linux/file.ts";
import type { Staging } from "../staging/staging.ts";
import { BlobCompressor, BlobWriter } from "./blob_writer.ts";
import { blobSize, storedManifests } from "./blobs.ts";
import { type ChunkSource, RangeSource } from "./chunk_source.ts";
import { readArchive } from "./decompress.ts";
import { readDefaultImageLayer } from "./default_image.ts";
import { damaged } from "./image.ts";
import { hexOf, sha256Hex } from "./layout.ts";
import { type Descriptor, layerCompression, type Manifest, parseManifest } from "./manifest.ts";
import { type LayerBlob, makeManifest } from "./place_image.ts";
import { defaultImageId, type ImageStore } from "./store.ts";

/** An image that stays where it is until this is disposed of. */
export interface StoredImage extends Disposable {
  /** `sha256:…` */
  readonly id: string;
  /** Byte for byte, as are its manifest and its layers. */
  readonly config: Uint8Array;
  readonly manifest: {
    readonly digest: string;
    readonly mediaType: string;
    readonly bytes: Uint8Array;
  };
  /** The lowest first. */
  readonly layers: readonly Descriptor[];
  /** A layer's bytes. The caller compares them with its digest. */
  open(layer: Descriptor): LayerFile;
}

/** An open blob. */
export interface LayerFile extends Disposable {
  readonly source: ChunkSource;
}

/**
 * An image with its manifest: the one that it came with whose blobs are all here, or, of several,
 * always the same.
 * @param staging where the blob of the default image is made, which is in the executable
 * @returns undefined when there is no such image (any more)
 * @throws {DamagedImageError} when a blob is missing
 */
export async function openStoredImage(
  store: ImageStore,
  staging: Staging,
  id: string,
): Promise<StoredImage | undefined> {
  using held = new DisposableStack();
  const lock = store.hold(id);
  if (lock === undefined) return undefined;
  held.use(lock);
  if (store.readConfig(id) === undefined) return undefined;
  const config = readFileBytes(store.layout.config(id));
  const image = findManifest(store, id) ?? (await makeDefault(staging, id, config));
  if (image === undefined) throw missing(store, id);
  const { manifest, bytes, digest, path } = image;
  const locks = held.move();
  return {
    id,
    config,
    manifest: { digest, mediaType: manifest.mediaType, bytes },
    layers: manifest.layers,
    open: (layer) => openBlob(id, layer, path ?? store.layout.blob(layer.digest)),
    [Symbol.dispose]: () => locks.dispose(),
  };
}

interface Found {
  readonly manifest: Manifest;
  readonly bytes: Uint8Array;
  readonly digest: string;
  /** Of its only layer's blob, if that is not in the store. */
  readonly path?: string;
}

function manifestsOf(store: ImageStore, id: string): Found[] {
  return storedManifests(store.layout, id)
    .toSorted((a, b) => (a.digest < b.digest ? -1 : 1))
    .flatMap(({ bytes, digest }) => {
      const manifest = parseManifest(bytes, undefined, `the manifest ${digest}`);
      return manifest.kind === "manifest" ? [{ manifest, bytes, digest }] : [];
    });
}

function findManifest(store: ImageStore, id: string): Found | undefined {
  return manifestsOf(store, id).find(({ manifest }) =>
    manifest.layers.every(({ digest, size }) => blobSize(store.layout, digest) === size),
  );
}

/** Why an image has no manifest whose blobs are here. */
function missing(store: ImageStore, id: string): MydockerError {
  for (const { manifest } of manifestsOf(store, id))
    for (const { digest, size } of manifest.layers)
      if (blobSize(store.layout, digest) !== size)
        return damaged(id, `its blob ${store.layout.blob(digest)} is missing, or has another size`);
  return damaged(id, `it has no manifest in ${store.layout.manifests(id)}`);
}

/** The default image's layer is in the executable, compressed in a form that not every engine reads. */
async function makeDefault(
  staging: Staging,
  id: string,
  config: Uint8Array,
): Promise<Found | undefined> {
  if (id !== defaultImageId()) return undefined;
  const path = `${staging.path}/${hexOf(id)}.blob`;
  using blob = new BlobWriter(path);
  const compressor = new BlobCompressor(blob);
  await compressor.write(Bun.zstdDecompressSync(readDefaultImageLayer()));
  await compressor.end();
  const layer = { digest: blob.end(), size: blob.size, compression: "gzip" as const };
  const bytes = makeManifest(config, [layer]);
  const digest = `sha256:${sha256Hex(bytes)}`;
  const manifest = parseManifest(bytes, undefined, `the manifest ${digest}`);
  return manifest.kind === "manifest" ? { manifest, bytes, digest, path } : undefined;
}

function openBlob(id: string, { size }: Descriptor, path: string): LayerFile {
  let fd: number | undefined;
  try {
    fd = ifExists(() => open(path, O.O_RDONLY | O.O_NOFOLLOW));
  } catch (error) {
    if (!isErrno(error, "ELOOP")) throw error;
  }
  if (fd === undefined) throw damaged(id, `its blob ${path} is missing`);
  const blob = fd;
  if (statFd(blob).size !== size) {
    close(blob);
    throw damaged(id, `its blob ${path} does not have ${size} bytes`);
  }
  return { source: new RangeSource(blob, 0, size), [Symbol.dispose]: () => close(blob) };
}

/**
 * The same image with plain tars for layers that are compressed with zstd, which Docker before
 * version 23 does not read; its manifest is another one then.
 * @param image stays the caller's
 * @throws {DamagedImageError}
 */
export async function withoutZstd(staging: Staging, image: StoredImage): Promise<StoredImage> {
  const isZstd = ({ mediaType }: Descriptor) => layerCompression(mediaType) === "zstd";
  if (!image.layers.some(isZstd)) return image;
  const { id, config } = image;
  const paths = new Map<string, string>();
  const layers: LayerBlob[] = [];
  for (const layer of image.layers) {
    const { digest, size, mediaType } = layer;
    if (!isZstd(layer)) {
      layers.push({ digest, size, compression: layerCompression(mediaType) });
      continue;
    }
    const plain = await decompress(staging, image, layer);
    paths.set(plain.digest, plain.path);
    layers.push({ ...plain, compression: "none" });
  }
  const bytes = makeManifest(config, layers);
  const digest = `sha256:${sha256Hex(bytes)}`;
  const manifest = parseManifest(bytes, undefined, `the manifest ${digest}`);
  if (manifest.kind !== "manifest") throw new TypeError("a manifest is no index");
  return {
    ...image,
    manifest: { digest, mediaType: manifest.mediaType, bytes },
    layers: manifest.layers,
    open(layer) {
      const path = paths.get(layer.digest);
      return path === undefined ? image.open(layer) : openBlob(id, layer, path);
    },
  };
}

async function decompress(staging: Staging, image: StoredImage, layer: Descriptor) {
  const path = `${staging.path}/${hexOf(layer.digest)}.tar`;
  using file = image.open(layer);
  using tar = new BlobWriter(path);
  const hasher = new Bun.CryptoHasher("sha256");
  await readArchive(file.source, (chunk) => tar.write(chunk), {
    raw: (chunk) => hasher.update(chunk),
  });
  if (`sha256:${hasher.digest("hex")}` !== layer.digest)
    throw damaged(image.id, `its blob ${layer.digest} does not have that digest`);
  return { path, digest: tar.end(), size: tar.size };
}
