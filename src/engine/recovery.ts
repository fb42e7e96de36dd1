/**
 * Finishes what commands left half done that were killed. Every command that touches containers
 * calls it first; it costs a directory read when nothing is wrong.
 */

import { readLayout } from "../cgroups/layout.ts";
import { openCgroup } from "../cgroups/manager.ts";
import { cleanUpImages } from "../images/collect.ts";
import { openImageStore } from "../images/store.ts";
import { statIfExists } from "../linux/file.ts";
import { killProcess } from "../linux/process_identity.ts";
import { log } from "../log.ts";
import type { Paths } from "../paths.ts";
import { VolumeStore } from "../volumes/store.ts";
import { containerCgroup } from "./container_cgroup.ts";
import type { ContainerRecord, ExitRecord } from "./container_record.ts";
import { ContainerStore } from "./container_store.ts";
import { removeEtcFiles } from "./etc_files.ts";
import { recordContainerEvent } from "./events.ts";
import { removeSocket } from "./monitor_socket.ts";
import {
  claimSilently,
  type Orphan,
  type OwnerRecord,
  type Ownership,
  takeOrphans,
} from "./ownership.ts";
import { makeStateDirectories, markStateDirectories } from "./state_directories.ts";
import { recordVolumeUse } from "./volume_events.ts";
import { removeOwnVolumes } from "./volume_users.ts";

type NetworkRelease = typeof import("../network/release.ts");

/** The exit code of a container whose owner was killed: it was killed with it. */
const LOST = 137;
const DIED = { exitCode: String(LOST) };
/** How long a killed process may take to end, in milliseconds. */
const PATIENCE = 10_000;

/** Brings the state directories into order: makes them, and finishes what is half done. */
export function recover(paths: Paths): void {
  const firstSinceBoot = makeStateDirectories(paths);
  for (const { id, record, isRemoval, ownership } of takeOrphans(paths)) {
    try {
      finish(paths, id, { record, isRemoval }, ownership);
    } catch (error) {
      // One that cannot be cleaned up must not keep others from being used.
      const why = error instanceof Error ? error.message : String(error);
      log.warn(`container ${id.slice(0, 12)} could not be cleaned up: ${why}`);
      ownership.abandon();
    }
  }
  finishImages(paths);
  finishVolumes(paths);
  if (!firstSinceBoot) return;
  recoverAfterReboot(paths);
  markStateDirectories(paths);
}

function finishImages(paths: Paths): void {
  try {
    cleanUpImages(openImageStore(paths.root));
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    log.warn(`what a killed command left of an image could not be removed: ${why}`);
  }
}

function finishVolumes(paths: Paths): void {
  try {
    new VolumeStore(paths.root).cleanUp();
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    log.warn(`what a killed command left of a volume could not be removed: ${why}`);
  }
}

/** What was running when the machine went down has no owner's file any more. */
function recoverAfterReboot(paths: Paths): void {
  const store = new ContainerStore(paths);
  for (const id of store.ids()) {
    if (!wasLeft(store, id)) continue;
    const ownership = claimSilently(paths, id, containerCgroup(id));
    if (ownership === undefined) continue; // a command that was started since has it
    // It may have ended it, or finished this, before we had the lock.
    const container = readable(() => store.read(id));
    if (wasLeft(store, id)) {
      const record = { ...ownership.record, remove: container?.options.remove ?? true };
      finish(paths, id, { record, isRemoval: false }, ownership);
    } else ownership.release();
  }
}

/** Whether a container that nobody owns was not ended in good order. */
function wasLeft(store: ContainerStore, id: string): boolean {
  const record = readable(() => store.read(id));
  if (record === undefined) return !store.isDamaged(id);
  if (record.options.remove) return true;
  return !store.hasExit(id) && store.hasStarted(id); // neither: it was only created
}

/**
 * Kills what still runs, gives everything back, and says how the container ended.
 * @param left what its owner said, if it said anything
 */
function finish(
  paths: Paths,
  id: string,
  { record, isRemoval }: Pick<Orphan, "record" | "isRemoval">,
  ownership: Ownership,
): void {
  const store = new ContainerStore(paths);
  stopAndRelease(paths, id, record);
  const container = readable(() => store.read(id));
  // Whoever said nothing has done nothing.
  const remove = record?.remove ?? isRemoval;
  if (remove || (container === undefined && !store.isDamaged(id))) {
    const withVolumes = record?.remove === true || record?.volumes === true;
    if (withVolumes && container !== undefined) removeOwnVolumes(paths, id, container);
    store.remove(id);
    if (container !== undefined) {
      if (record?.process !== undefined) recordDeath(paths, container);
      recordContainerEvent(paths, container, "destroy");
    }
  } else if (!store.hasExit(id) && (record?.process !== undefined || store.hasStarted(id))) {
    // The record of an earlier end is removed before it is started again: one that is there is of this end.
    const exit = record?.restarting ?? lost(record);
    store.writeExit(id, exit);
    // Of one that waited to be started again that is known already.
    if (container !== undefined && record?.restarting === undefined) {
      recordDeath(paths, container);
    }
  }
  ownership.release();
}

function recordDeath(paths: Paths, container: ContainerRecord): void {
  recordContainerEvent(paths, container, "die", DIED);
  recordVolumeUse(paths, container, "unmount");
}

const lost = (record: OwnerRecord | undefined): ExitRecord => ({
  exitCode: LOST,
  oomKilled: false,
  ...(record?.process === undefined ? {} : { startedAt: record.process.startedAt }),
  finishedAt: new Date().toISOString(),
  error: "the command that ran it was killed",
  ...(record?.restartCount === undefined ? {} : { restartCount: record.restartCount }),
});

/** Kills what a dead owner left running, and removes what a container has only while it runs. */
export function stopAndRelease(paths: Paths, id: string, record: OwnerRecord | undefined): void {
  for (const process of [record?.init, record?.process]) {
    if (process !== undefined) killProcess(process, PATIENCE);
  }
  openCgroup(readLayout(), record?.cgroup || recordedCgroup(paths, id)).remove();
  if (record !== undefined && statIfExists(`${paths.run}/networks`) !== undefined) {
    // biome-ignore lint/style/noCommonJs: loaded when it is needed, by callers that do not wait
    const { releaseNetworks } = require("../network/release.ts") as NetworkRelease;
    releaseNetworks(paths, id);
  }
  removeEtcFiles(paths, id);
  removeSocket(paths, id);
}

/** Kills what runs in a container whose living owner says nothing that can be read: it sees it end. */
export function killByCgroup(paths: Paths, id: string): void {
  openCgroup(readLayout(), recordedCgroup(paths, id)).kill();
}

/** Where the container's record says that its cgroup is, when no owner says it. */
function recordedCgroup(paths: Paths, id: string): string {
  const container = readable(() => new ContainerStore(paths).read(id));
  return containerCgroup(id, container?.options.cgroupParent);
}

/** A damaged file harms its own container only. */
function readable<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}
