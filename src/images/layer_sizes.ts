/** What layers take, and which images share them. */
import { MydockerError } from "../errors.ts";
import { readDirectory } from "../linux/directory.ts";
import { ifExists } from "../linux/file.ts";
import type { Image } from "./image.ts";
import { SHA256 } from "./image_config.ts";
import { layerSize } from "./layer.ts";
import type { ImageStore } from "./store.ts";

/** Bytes of data in each layer that is here, by diff id. One that is damaged counts for nothing. */
export function layerSizes({ layout }: ImageStore): ReadonlyMap<string, number> {
  const sizes = new Map<string, number>();
  for (const hex of ifExists(() => readDirectory(layout.layers)) ?? []) {
    const diffId = `sha256:${hex}`;
    if (!SHA256.test(diffId)) continue;
    try {
      sizes.set(diffId, layerSize(layout, diffId));
    } catch (error) {
      if (!(error instanceof MydockerError)) throw error;
    }
  }
  return sizes;
}

/** Bytes of each image's layers that other images have, too, by its id. */
export function sharedSizes(
  images: readonly Image[],
  sizes: ReadonlyMap<string, number>,
): ReadonlyMap<string, number> {
  const owners = new Map<string, number>();
  const layersOf = ({ config }: Image) => new Set(config.rootfs.diff_ids);
  for (const image of images)
    for (const diffId of layersOf(image)) owners.set(diffId, (owners.get(diffId) ?? 0) + 1);
  return new Map(
    images.map((image) => {
      const shared = [...layersOf(image)].filter((diffId) => (owners.get(diffId) ?? 0) > 1);
      return [image.id, shared.reduce((sum, diffId) => sum + (sizes.get(diffId) ?? 0), 0)];
    }),
  );
}
