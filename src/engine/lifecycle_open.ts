/** A container that exists, to be started again. */
import { MydockerError, NotFoundError } from "../errors.ts";
import { openImageStore } from "../images/store.ts";
import type { Paths } from "../paths.ts";
import { containerCgroup } from "./container_cgroup.ts";
import type { ContainerRecord } from "./container_record.ts";
import { ContainerStore } from "./container_store.ts";
import type { CreatedContainer } from "./create.ts";
import { recordContainerEvent } from "./events.ts";
import { type FoundContainer, isUpNow } from "./lifecycle_process.ts";
import { claim, type Ownership, ownerOf } from "./ownership.ts";
import type { ImageConfig } from "./spec_builder.ts";
import { removeOwnVolumes } from "./volume_users.ts";

/** How long another command may take to let go of a container that has ended, in milliseconds. */
const PATIENCE = 10_000;

/**
 * Becomes the owner of a container, to start it. What `undo` gives back: that we own it, and with
 * `--rm` the container itself.
 * @throws {MydockerError} when there is none, or somebody else owns it for long
 */
export function openContainer(paths: Paths, id: string, undo: DisposableStack): CreatedContainer {
  const store = new ContainerStore(paths);
  const found = readOrThrow(store, id);
  const cgroup = containerCgroup(id, found.options.cgroupParent);
  const ownership = claimWhenFree({ paths, store, id }, cgroup);
  undo.defer(() => ownership.release());
  const record = readOrThrow(store, id); // it may have been removed before we had the lock
  let kept = !record.options.remove;
  undo.defer(() => {
    if (kept) return;
    const last = store.current(record);
    removeOwnVolumes(paths, id, record);
    store.remove(id);
    recordContainerEvent(paths, last, "destroy");
  });
  return {
    paths,
    store,
    record,
    root: {
      name: record.image,
      ...(record.imageId === undefined ? {} : { imageId: record.imageId }),
      config: imageConfigOf(paths, record),
      layers: record.layers,
      args: record.command,
    },
    ownership,
    ranBefore: store.hasExit(id),
    keep: () => {
      kept = true;
    },
  };
}

/** Of several who start it at once, one does; the others find that it runs. */
function claimWhenFree(found: FoundContainer, cgroup: string): Ownership {
  const { paths, id } = found;
  for (const deadline = Date.now() + PATIENCE; ; Bun.sleepSync(1)) {
    const isLate = Date.now() >= deadline;
    if (isUpNow(found)) throw new MydockerError(`container ${id.slice(0, 12)} is running`);
    if (ownerOf(paths, id) !== undefined && !isLate) continue;
    try {
      return claim(paths, { id, remove: false, cgroup });
    } catch (error) {
      if (isLate || ownerOf(paths, id) === undefined) throw error;
    }
  }
}

function readOrThrow(store: ContainerStore, id: string): ContainerRecord {
  const record = store.read(id);
  if (record === undefined) throw new NotFoundError(`No such container: ${id.slice(0, 12)}`);
  return record;
}

/** What the image of a container says of how it is run. */
export function imageConfigOf(paths: Paths, { imageId, image }: ContainerRecord): ImageConfig {
  if (imageId === undefined) return {};
  const found = openImageStore(paths.root).getOfContainer(imageId);
  if (found === undefined) {
    throw new MydockerError(`the image ${image} of this container was removed (${imageId})`);
  }
  return found.config.config ?? {};
}
