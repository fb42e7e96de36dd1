/** The blob of a layer that is in the store already. */
import { storedManifests } from "./blobs.ts";
import { DamagedImageError } from "./image.ts";
import { layerCompression, parseManifest } from "./manifest.ts";
import type { LayerBlob } from "./place_image.ts";
import type { ImageStore } from "./store.ts";

/**
 * A blob that an image of the store has for a layer.
 * @param digest the one that it has to be; any, if undefined
 * @returns undefined when no manifest names one. It may be gone by now: hold it (`holdBlob`)
 */
export function knownBlob(
  store: ImageStore,
  diffId: string,
  digest: string | undefined,
): LayerBlob | undefined {
  for (const id of store.ids()) {
    const found = imageBlobs(store, id).find(
      (blob) => blob.diffId === diffId && (digest === undefined || blob.digest === digest),
    );
    if (found !== undefined) return found;
  }
  return undefined;
}

/** The blobs of an image's layers, by all of its manifests; none of one that is damaged. */
function imageBlobs(store: ImageStore, id: string): (LayerBlob & { diffId: string })[] {
  try {
    const diffIds = store.readConfig(id)?.rootfs.diff_ids ?? [];
    return storedManifests(store.layout, id).flatMap(({ bytes, digest }) => {
      const manifest = parseManifest(bytes, undefined, `the manifest ${digest}`);
      if (manifest.kind !== "manifest" || manifest.layers.length !== diffIds.length) return [];
      return manifest.layers.map((layer, index) => ({
        diffId: diffIds[index] as string,
        digest: layer.digest,
        size: layer.size,
        compression: layerCompression(layer.mediaType),
      }));
    });
  } catch (error) {
    if (error instanceof DamagedImageError) return [];
    throw error;
  }
}
