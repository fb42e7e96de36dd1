/** Putting an image into its place with its layers, their blobs and a manifest: `import`, `commit`, `load`. */
import { encodeBytes } from "../ffi/bytes.ts";
import type { Staging } from "../staging/staging.ts";
import { placeBlob } from "./blobs.ts";
import type { Compression } from "./decompress.ts";
import { placeLayer } from "./layer.ts";
import { sha256Hex } from "./layout.ts";
import { OCI_CONFIG, OCI_LAYER, OCI_MANIFEST } from "./manifest.ts";
import type { ReceivedLayer } from "./receive_layer.ts";
import type { Reference } from "./reference.ts";
import type { ImageStore } from "./store.ts";

/** A layer's blob as a manifest says it. */
export interface LayerBlob {
  /** `sha256:…` */
  readonly digest: string;
  /** bytes */
  readonly size: number;
  readonly compression: Compression;
}

/** A layer and its blob in their places, where they stay until it is disposed of. */
export interface PlacedLayer extends Disposable {
  readonly blob: LayerBlob;
}

/** Moves a layer that was received, and its blob, to their places, unless they are there. */
export function placeReceivedLayer(store: ImageStore, layer: ReceivedLayer): PlacedLayer {
  using locks = new DisposableStack();
  locks.use(placeLayer(store.layout, layer.diffId, layer));
  locks.use(placeBlob(store.layout, layer.blob.digest, layer.blob.path));
  const held = locks.move();
  return { blob: layer.blob, [Symbol.dispose]: () => held.dispose() };
}

/**
 * The manifest of an image that comes with none, so that every image but the default one has one,
 * and is pushed and saved by it.
 */
export function makeManifest(config: Uint8Array, layers: readonly LayerBlob[]): Uint8Array {
  const suffix = { none: "", gzip: "+gzip", zstd: "+zstd" } as const;
  return encodeBytes(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: OCI_MANIFEST,
      config: {
        mediaType: OCI_CONFIG,
        digest: `sha256:${sha256Hex(config)}`,
        size: config.length,
      },
      layers: layers.map(({ digest, size, compression }) => ({
        mediaType: `${OCI_LAYER}${suffix[compression]}`,
        digest,
        size,
      })),
    }),
  );
}

/**
 * Places an image that was made here.
 * @param config its configuration byte for byte; its diff ids are those of the layers
 * @param received new layers, on top of `below`
 * @param below layers that are in their places, and held
 * @param reference its name
 * @returns its id
 */
export function placeNewImage(
  store: ImageStore,
  staging: Staging,
  config: Uint8Array,
  received: readonly ReceivedLayer[],
  below: readonly LayerBlob[] = [],
  reference?: Reference,
): string {
  using locks = new DisposableStack();
  const placed = received.map((layer) => locks.use(placeReceivedLayer(store, layer)));
  const manifest = makeManifest(config, [...below, ...placed.map(({ blob }) => blob)]);
  return store.placeImage(staging, config, manifest, reference === undefined ? [] : [reference]);
}
