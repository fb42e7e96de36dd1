/** What nobody needs any more: layers and blobs without an image, and what killed commands left half made. */
import { readDirectory, removeTree } from "../linux/directory.ts";
import { LOCK_EX, LOCK_NB } from "../linux/fd.ts";
import { ifExists, lstat, rename, rmdirIfEmpty, S_IFMT, S_IFREG, unlink } from "../linux/file.ts";
import { lockDirectory, lockFile } from "../staging/locks.ts";
import type { Staging } from "../staging/staging.ts";
import { storedManifests } from "./blobs.ts";
import { DamagedImageError } from "./image.ts";
import { SHA256 } from "./image_config.ts";
import { hexOf } from "./layout.ts";
import type { ImageStore } from "./store.ts";

/** Removes what killed commands left of images that they were making or removing. One call when they left nothing. */
export function cleanUpImages(store: ImageStore): void {
  if (!store.removeRemains()) return;
  using staging = store.stage();
  collectLayers(store, staging); // one may have died between placing a layer and its image
}

/** Removes blobs that no manifest of an image names; one that is being placed is locked. */
function collectBlobs(store: ImageStore): void {
  const { layout } = store;
  const names = ifExists(() => readDirectory(layout.blobs)) ?? [];
  if (names.length === 0) return;
  const inUse = () =>
    new Set(
      [
        ...store.ids().flatMap((id) => storedManifests(layout, id)),
        ...store
          .ids(layout.kept)
          .flatMap((id) => storedManifests(layout, id, `${layout.keptImage(id)}/manifests`)),
      ].flatMap(({ blobs }) => blobs),
    );
  const before = inUse();
  for (const digest of names.map((hex) => `sha256:${hex}`)) {
    if (!SHA256.test(digest) || before.has(digest)) continue;
    const path = layout.blob(digest);
    if (!isFile(path)) {
      removeTree(path); // somebody put something else there, which nobody can be placing
      continue;
    }
    using lock = lockFile(path, LOCK_EX | LOCK_NB);
    // An image that has it may have come between the look and the lock.
    if (lock !== undefined && !inUse().has(digest)) unlink(path);
  }
}

function isFile(path: string): boolean {
  const found = ifExists(() => lstat(path));
  return found === undefined || (found.mode & S_IFMT) === S_IFREG;
}

/** The layers of all images that can be read, and of those that only containers have. */
function layersInUse(store: ImageStore): Set<string> {
  const used = new Set<string>();
  const { layout } = store;
  for (const [id, directory] of [
    ...store.ids().map((id) => [id, layout.image(id)] as const),
    ...store.ids(layout.kept).map((id) => [id, layout.keptImage(id)] as const),
  ]) {
    try {
      for (const diffId of store.readConfig(id, directory)?.rootfs.diff_ids ?? []) used.add(diffId);
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
  collectBlobs(store);
  return removed;
}

/**
 * Removes images that were removed already, and stayed for containers that have gone since.
 * @param isUsed whether a container is made of an image
 */
export function releaseKeptImages(store: ImageStore, isUsed: (id: string) => boolean): void {
  const { layout } = store;
  const free = store.ids(layout.kept).filter((id) => !isUsed(id));
  if (free.length === 0) return;
  using staging = store.stage();
  // Another command may be doing the same.
  for (const id of free)
    ifExists(() => rename(layout.keptImage(id), `${staging.path}/kept-${hexOf(id)}`));
  rmdirIfEmpty(layout.kept);
  collectLayers(store, staging);
}
