/** What nobody needs any more: layers without an image, and what killed commands left half made. */
import { readDirectory } from "../linux/directory.ts";
import { LOCK_EX, LOCK_NB } from "../linux/fd.ts";
import { ifExists, rename } from "../linux/file.ts";
import { DamagedImageError } from "./image.ts";
import { SHA256 } from "./image_config.ts";
import { hexOf } from "./layout.ts";
import { lockDirectory } from "./locks.ts";
import { removeRemains, type Staging } from "./staging.ts";
import type { ImageStore } from "./store.ts";

/** Removes what killed commands left of images that they were making or removing. One call when they left nothing. */
export function cleanUpImages(store: ImageStore): void {
  if (!removeRemains(store.layout.staging)) return;
  using staging = store.stage();
  collectLayers(store, staging); // one may have died between placing a layer and its image
}

/** The layers of all images that can be read. */
function layersInUse(store: ImageStore): Set<string> {
  const used = new Set<string>();
  for (const id of store.ids()) {
    try {
      for (const diffId of store.readConfig(id)?.rootfs.diff_ids ?? []) used.add(diffId);
    } catch (error) {
      // What its layers were cannot be known, nor can it be used. An I/O error is no such reason.
      if (!(error instanceof DamagedImageError)) throw error;
    }
  }
  return used;
}

/**
 * Removes layers that no image has: those of an image that was just removed, and what a process
 * left that died between placing a layer and its image. One that is being placed is locked.
 * @returns their diff ids
 */
export function collectLayers(store: ImageStore, staging: Staging): string[] {
  const { layout } = store;
  const candidates = (ifExists(() => readDirectory(layout.layers)) ?? [])
    .map((hex) => `sha256:${hex}`)
    .filter((diffId) => SHA256.test(diffId));
  const before = layersInUse(store);
  const removed: string[] = [];
  for (const diffId of candidates) {
    if (before.has(diffId)) continue;
    const path = layout.layer(diffId);
    using lock = lockDirectory(path, LOCK_EX | LOCK_NB);
    // An image that has it may have come between the look and the lock.
    if (lock === undefined || layersInUse(store).has(diffId)) continue;
    rename(path, `${staging.path}/${hexOf(diffId)}`);
    removed.push(diffId);
  }
  return removed;
}
