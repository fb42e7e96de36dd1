/** `system df`: what images, containers and volumes take. */
import type { MydockerError } from "../errors.ts";
import { layerSizes, sharedSizes } from "../images/layer_sizes.ts";
import { type ListedImage, listImages } from "../images/listing.ts";
import { openImageStore } from "../images/store.ts";
import { treeSize } from "../linux/tree_size.ts";
import type { Paths } from "../paths.ts";
import { sizesOf } from "./container_size.ts";
import { type ContainerSummary, listContainers } from "./list.ts";
import { type ListedVolume, listVolumes } from "./volume_commands.ts";

/** An image, and what it takes. */
export interface ImageUsage extends ListedImage {
  /** bytes of its layers that other images have, too */
  readonly shared: number;
  /** how many containers were made of it */
  readonly containers: number;
}

/** A container, and what it takes. */
export interface ContainerUsage extends ContainerSummary {
  /** bytes in its own layer */
  readonly size: number;
}

/** A volume, and what it takes. */
export interface VolumeUsage extends ListedVolume {
  /** bytes */
  readonly size: number;
}

/** All that can be looked at. */
export interface DiskUsage {
  readonly images: readonly ImageUsage[];
  /** bytes of all layers, those that images share once */
  readonly layersSize: number;
  readonly containers: readonly ContainerUsage[];
  readonly volumes: readonly VolumeUsage[];
  readonly problems: readonly MydockerError[];
}

/** Looks at everything: that takes as long as there are files. */
export function diskUsage(paths: Paths): DiskUsage {
  const containers = listContainers(paths);
  const store = openImageStore(paths.root);
  const { images, problems } = listImages(store);
  const sizes = layerSizes(store);
  const shared = sharedSizes(
    images.map(({ image }) => image),
    sizes,
  );
  const made = Map.groupBy(containers, ({ record }) => record.imageId);
  const sizeOf = sizesOf(paths);
  const { volumes, problems: volumeProblems } = listVolumes(paths);
  return {
    images: images.map((listed) => ({
      ...listed,
      shared: shared.get(listed.image.id) ?? 0,
      containers: made.get(listed.image.id)?.length ?? 0,
    })),
    layersSize: [...sizes.values()].reduce((sum, size) => sum + size, 0),
    containers: containers.map((summary) => ({ ...summary, size: sizeOf(summary.record).own })),
    volumes: volumes.map((listed) => ({ ...listed, size: treeSize(listed.mountpoint) })),
    problems: [...problems, ...volumeProblems],
  };
}
