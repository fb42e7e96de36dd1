/** `prune`: of each kind of thing what nobody uses goes. */
import { MydockerError, NotFoundError } from "../errors.ts";
import { layerSizes } from "../images/layer_sizes.ts";
import { type ListedImage, listImages } from "../images/listing.ts";
import { familiarReference } from "../images/reference.ts";
import { ImageConflictError, type ImageUser, type Removed, removeImage } from "../images/remove.ts";
import { type ImageStore, openImageStore } from "../images/store.ts";
import { treeSize } from "../linux/tree_size.ts";
import type { Paths } from "../paths.ts";
import { VolumeStore } from "../volumes/store.ts";
import { isAnonymous } from "../volumes/volume.ts";
import { ContainerStore, DamagedContainerError } from "./container_store.ts";
import { recordEvent } from "./events.ts";
import { releaseKeptImages } from "./kept_images.ts";
import { isUp, listContainers } from "./list.ts";
import { meets, type PruneConditions } from "./prune_conditions.ts";
import { recover } from "./recovery.ts";
import { BeingRemovedError, removeContainer } from "./remove.ts";
import { recordPruneEvent, recordVolumeEvent } from "./volume_events.ts";
import { volumeUsers } from "./volume_users.ts";

/** What went. */
export interface Pruned<T = string> {
  readonly removed: readonly T[];
  /** bytes, as `system df` counts them */
  readonly reclaimed: number;
  /** What could not be removed, or looked at, an error each. */
  readonly problems: readonly MydockerError[];
}

/** Removes containers that do not run. Of one that is damaged it is not known whether it may go. @returns their ids */
export function pruneContainers(paths: Paths, conditions: PruneConditions): Pruned {
  const store = new ContainerStore(paths);
  let reclaimed = 0;
  const pruned = forEach(listContainers(paths), ({ record, state }): string[] => {
    if (isUp(state) || state.status === "dead" || !meets(record, conditions)) return [];
    const size = treeSize(`${store.directory(record.id)}/upper`);
    removeContainer(paths, record.id);
    reclaimed += size;
    return [record.id];
  });
  recordPruneEvent(paths, "container", reclaimed);
  return { ...pruned, reclaimed };
}

/**
 * Removes volumes that no container has.
 * @param all also those that somebody gave a name
 * @returns their names
 * @throws {MydockerError} when there is a container of which it is not known what it has
 */
export function pruneVolumes(paths: Paths, conditions: PruneConditions, all: boolean): Pruned {
  recover(paths);
  refuseDamaged(paths, "volume");
  const store = new VolumeStore(paths.root);
  const { volumes, problems } = store.list();
  const users = volumeUsers(paths);
  const names = volumes
    .filter((volume) => (all || isAnonymous(volume)) && meets(volume, conditions))
    .map(({ name }) => name)
    .filter((name) => !users.has(name));
  let reclaimed = 0;
  const removed = store.removeUnused(
    names,
    () => volumeUsers(paths),
    (name) => {
      reclaimed += treeSize(store.data(name));
    },
  );
  for (const name of removed) recordVolumeEvent(paths, "destroy", name);
  recordPruneEvent(paths, "volume", reclaimed);
  return { removed, reclaimed, problems };
}

/**
 * Removes images that no container was made of.
 * @param all also those that have a tag
 * @throws {MydockerError} when there is a container of which it is not known what it was made of
 */
export function pruneImages(
  paths: Paths,
  conditions: PruneConditions,
  all: boolean,
): Pruned<Removed> {
  recover(paths);
  refuseDamaged(paths, "image");
  const store = openImageStore(paths.root);
  const { images, problems } = listImages(store);
  const before = layerSizes(store);
  const pruned = forEach(images, ({ image, references }): readonly Removed[] => {
    const isTagged = references.some(({ digest }) => digest === undefined);
    if ((isTagged && !all) || imageUsers(paths, image.id).length > 0) return [];
    const labels = image.config.config?.Labels ?? {};
    if (!meets({ created: image.created, labels }, conditions)) return [];
    return namesOf(image.id, references).flatMap((name) => removeUnlessUsed(paths, store, name));
  });
  releaseKeptImages(paths);
  const after = layerSizes(store);
  let reclaimed = 0;
  for (const [diffId, size] of before) if (!after.has(diffId)) reclaimed += size;
  recordPruneEvent(paths, "image", reclaimed);
  return { ...pruned, problems: [...problems, ...pruned.problems], reclaimed };
}

/** Tags before digests, which go with the last tag of theirs. */
function namesOf(id: string, references: ListedImage["references"]): string[] {
  if (references.length === 0) return [id];
  return references
    .toSorted((a, b) => Number(a.digest !== undefined) - Number(b.digest !== undefined))
    .map((reference) => familiarReference(reference));
}

/** A container that came since we looked keeps its image; one that somebody removed is gone. */
function removeUnlessUsed(paths: Paths, store: ImageStore, name: string): readonly Removed[] {
  try {
    const removed = removeImage(store, name, { usedBy: (id) => imageUsers(paths, id) });
    for (const { action, imageId: id } of removed) {
      const said = action === "Untagged" ? "untag" : "delete";
      if (id !== undefined) recordEvent(paths, "image", said, id, { name: id });
    }
    return removed;
  } catch (error) {
    if (error instanceof ImageConflictError || error instanceof NotFoundError) return [];
    throw error;
  }
}

/** The containers that were made of an image, be they running or not. */
function imageUsers(paths: Paths, imageId: string): ImageUser[] {
  const store = new ContainerStore(paths);
  return store
    .ids()
    .filter((id) => store.read(id)?.imageId === imageId)
    .map((id) => ({ id, running: true }));
}

/** What is removed here is lost for good: that nobody has it must be certain. */
function refuseDamaged(paths: Paths, what: string): void {
  const store = new ContainerStore(paths);
  for (const id of store.ids()) {
    try {
      store.read(id);
    } catch (cause) {
      if (!(cause instanceof DamagedContainerError)) throw cause;
      throw new MydockerError(
        `no ${what} is removed: which one a container has is not known, ${cause.message}`,
        { cause, hint: `mydocker rm -f ${id.slice(0, 12)} removes that container` },
      );
    }
  }
}

/** Goes on when it fails for one. */
function forEach<T, R>(
  things: readonly T[],
  act: (thing: T) => readonly R[],
): Pick<Pruned<R>, "removed" | "problems"> {
  const [removed, problems]: [R[], MydockerError[]] = [[], []];
  for (const thing of things) {
    try {
      removed.push(...act(thing));
    } catch (error) {
      // Somebody else was faster.
      if (error instanceof NotFoundError || error instanceof BeingRemovedError) continue;
      if (!(error instanceof MydockerError)) throw error;
      problems.push(error);
    }
  }
  return { removed, problems };
}
