/** Images that were removed by force while containers were made of them: they go with the last of those. */
import { releaseKeptImages as release } from "../images/collect.ts";
import { openImageStore } from "../images/store.ts";
import { statIfExists } from "../linux/file.ts";
import type { Paths } from "../paths.ts";
import { ContainerStore, DamagedContainerError } from "./container_store.ts";

/** Removes those that no container has any more. One call when there are none. */
export function releaseKeptImages(paths: Paths): void {
  const store = openImageStore(paths.root);
  if (statIfExists(store.layout.kept) === undefined) return;
  const used = usedImages(paths);
  if (used !== undefined) release(store, (id) => used.has(id));
}

/** @returns undefined when it cannot be known of all containers */
function usedImages(paths: Paths): Set<string> | undefined {
  const store = new ContainerStore(paths);
  const used = new Set<string>();
  for (const id of store.ids()) {
    try {
      const imageId = store.read(id)?.imageId;
      if (imageId !== undefined) used.add(imageId);
    } catch (error) {
      if (error instanceof DamagedContainerError) return undefined;
      throw error;
    }
  }
  return used;
}
