/** What nobody needs any more: layers and blobs without an image, and what killed commands left half made. */
import { readDirectory } from "../linux/directory.ts";
import { LOCK_EX, LOCK_NB } from "../linux/fd.ts";
import { ifExists, rename, unlink } from "../linux/file.ts";
import { lockDirectory, lockFile } from "../staging/locks.ts";
import { removeRemains, type Staging } from "../staging/staging.ts";
import { storedManifests } from "./blobs.ts";
import { DamagedImageError } from "./image.ts";
import { SHA256 } from "./image_config.ts";
import { hexOf, type StoreLayout } from "./layout.ts";
import type { ImageStore } from "./store.ts";

/** Removes what killed commands left of images that they were making or removing. One call when they left nothing. */
export function cleanUpImages(store: ImageStore): void {
  if (!removeRemains(store.layout.staging)) return;
  using staging = store.stage();
  collectLayers(store, staging); // one may have died between placing a layer and its image
}

/** Removes blobs that no manifest of an image names; one that is being placed is locked. */
function collectBlobs({ layout, ids }: { layout: StoreLayout; ids: () => string[] }): void {
  const names = ifExists(() => readDirectory(layout.blobs)) ?? [];
  if (names.length === 0) return;
  const inUse = () =>
    new Set(
      ids()
        .flatMap((id) => storedManifests(layout, id))
        .flatMap(({ blobs }) => blobs),
    );
  const before = inUse();
  for (const digest of names.map((hex) => `sha256:${hex}`)) {
    if (!SHA256.test(digest) || before.has(digest)) continue;
    using lock = lockFile(layout.blob(digest), LOCK_EX | LOCK_NB);
    // An image that has it may have come between the look and the lock.
    if (lock !== undefined && !inUse().has(digest)) unlink(layout.blob(digest));
  }
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
 * Removes layers and blobs that no image has: those of an image that was just removed, and what a process
 * left that died between placing a layer and its image. One that is being placed is locked.
 * @returns the layers' diff ids
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
  collectBlobs({ layout, ids: () => store.ids() });
  return removed;
}
