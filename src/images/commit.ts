/** `commit`: a container's own layer becomes an image's, on top of those of its image. */
import { MydockerError } from "../errors.ts";
import { encodeBytes } from "../ffi/bytes.ts";
import type { Staging } from "../staging/staging.ts";
import { BlobWriter } from "./blob_writer.ts";
import { blobSize, placeBlob } from "./blobs.ts";
import { collectLayers } from "./collect.ts";
import type { ImageConfig, ImageRunConfig } from "./image_config.ts";
import { parseImageConfig } from "./image_config.ts";
import type { LayerSource } from "./layer_source.ts";
import { hexOf } from "./layout.ts";
import { type Descriptor, layerCompression } from "./manifest.ts";
import { type LayerBlob, placeNewImage } from "./place_image.ts";
import { receiveLayer } from "./receive_layer.ts";
import { formatReference, parseReference, type Reference, withDefaultTag } from "./reference.ts";
import type { ImageStore } from "./store.ts";
import { openStoredImage, type StoredImage } from "./stored_image.ts";

/** An image to be made. */
export interface CommitRequest {
  /** the id of the image below */
  readonly base: string;
  readonly layer: LayerSource;
  /** What a container of it runs. */
  readonly config: ImageRunConfig;
  /** what its history says that made the layer */
  readonly createdBy: string;
  readonly author?: string;
  readonly comment?: string;
  /** what it is called; taken from an image that has it */
  readonly reference?: Reference;
}

/** What came of it. */
export interface Committed {
  /** `sha256:…` */
  readonly id: string;
  /** What could not be kept, a line each. */
  readonly warnings: readonly string[];
}

/** What an image is to be called. @throws {MydockerError} */
export function parseNewName(name: string): Reference {
  const reference = withDefaultTag(parseReference(name));
  if (reference.digest === undefined) return reference;
  throw new MydockerError(`cannot name an image by a digest: ${formatReference(reference)}`);
}

/**
 * Makes the image. Nothing counts as one until everything is written out.
 * @throws {MydockerError} when the image below is gone
 */
export async function commitImage(store: ImageStore, request: CommitRequest): Promise<Committed> {
  using staging = store.stage();
  collectLayers(store, staging);
  using base = await openStoredImage(store, staging, request.base);
  if (base === undefined)
    throw new MydockerError(`the image of this container was removed (${request.base})`);
  using blobs = new DisposableStack();
  const below: LayerBlob[] = [];
  for (const layer of base.layers) {
    const compression = layerCompression(layer.mediaType);
    below.push({ digest: layer.digest, size: layer.size, compression });
    if (blobSize(store.layout, layer.digest) === layer.size) continue;
    blobs.use(await addBlob(store, staging, base, layer));
  }
  const layer = await receiveLayer(staging, "layer", request.layer);
  const received = request.layer.isEmpty ? [] : [layer];
  const diffIds = received.map(({ diffId }) => diffId);
  const config = encodeBytes(
    JSON.stringify(describe(parseImageConfig(base.config), request, diffIds)),
  );
  const id = placeNewImage(store, staging, config, received, below, request.reference);
  return { id, warnings: layer.warnings };
}

function describe(
  base: ImageConfig,
  request: CommitRequest,
  diffIds: readonly string[],
): ImageConfig {
  const created = new Date().toISOString();
  const { author, comment } = request;
  const said = {
    ...(author === undefined || author === "" ? {} : { author }),
    ...(comment === undefined || comment === "" ? {} : { comment }),
  };
  const { architecture, os, variant } = base;
  return {
    created,
    ...(said.author === undefined ? {} : { author: said.author }),
    architecture,
    os,
    ...(variant === undefined ? {} : { variant }),
    config: request.config,
    rootfs: { type: "layers", diff_ids: [...base.rootfs.diff_ids, ...diffIds] },
    history: [
      ...(base.history ?? []),
      {
        created,
        created_by: request.createdBy,
        ...said,
        ...(diffIds.length === 0 ? { empty_layer: true } : {}),
      },
    ],
  };
}

/** Brings a blob into the store that is not there: that of the image in the executable. */
async function addBlob(
  store: ImageStore,
  staging: Staging,
  image: StoredImage,
  layer: Descriptor,
): Promise<Disposable> {
  const path = `${staging.path}/${hexOf(layer.digest)}.below`;
  using file = image.open(layer);
  using blob = new BlobWriter(path);
  for (;;) {
    const chunk = await file.source.next(false);
    if (chunk.length === 0) break;
    blob.write(chunk);
  }
  if (blob.end() !== layer.digest)
    throw new MydockerError(`the blob ${layer.digest} does not have that digest`);
  return placeBlob(store.layout, layer.digest, path);
}
