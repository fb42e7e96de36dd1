/**
 * Finishes what commands left half done that were killed. Every command that touches containers
 * calls it first; it costs a directory read when nothing is wrong.
 */

import { readLayout } from "../cgroups/layout.ts";
import { openCgroup } from "../cgroups/manager.ts";
import { MydockerError } from "../errors.ts";
import { ifExists, stat } from "../linux/file.ts";
import { killProcess } from "../linux/process_identity.ts";
import { log } from "../log.ts";
import type { Paths } from "../paths.ts";
import { containerCgroup } from "./container_cgroup.ts";
import { ContainerStore } from "./container_store.ts";
import { removeEtcFiles } from "./etc_files.ts";
import { claim, type OwnerRecord, type Ownership, takeOrphans } from "./ownership.ts";
import { makeStateDirectories, markStateDirectories } from "./state_directories.ts";

/** The exit code of a container whose owner was killed: it was killed with it. */
const LOST = 137;
/** How long a killed process may take to end, in milliseconds. */
const PATIENCE = 10_000;

/**
 * Brings the state directories into order: makes them, and finishes what is half done.
 * @param thorough looks at every container, for a command that does so anyway
 */
export function recover(paths: Paths, { thorough = false } = {}): void {
  const firstSinceBoot = makeStateDirectories(paths);
  for (const { id, record, ownership } of takeOrphans(paths, thorough)) {
    try {
      finish(paths, id, record, ownership);
    } catch (error) {
      // One that cannot be cleaned up must not keep others from being used.
      const why = error instanceof Error ? error.message : String(error);
      log.warn(`container ${id.slice(0, 12)} could not be cleaned up: ${why}`);
    }
  }
  if (!firstSinceBoot) return;
  recoverAfterReboot(paths);
  markStateDirectories(paths);
}

/** What was running when the machine went down has no owner's file any more. */
function recoverAfterReboot(paths: Paths): void {
  const store = new ContainerStore(paths);
  for (const id of store.ids()) {
    const record = readable(() => store.read(id));
    const ended = ifExists(() => stat(`${store.directory(id)}/exit.json`)) !== undefined;
    if (record !== undefined && !record.options.remove && ended) continue;
    const owner = { id, remove: record?.options.remove ?? true, cgroup: containerCgroup(id) };
    const ownership = claimIfFree(paths, owner);
    if (ownership !== undefined) finish(paths, id, owner, ownership);
  }
}

/** @returns undefined when a command that was started since has it */
function claimIfFree(paths: Paths, owner: OwnerRecord): Ownership | undefined {
  try {
    return claim(paths, owner);
  } catch (error) {
    if (error instanceof MydockerError) return undefined;
    throw error;
  }
}

/** Kills what still runs, gives everything back, and says how the container ended. */
function finish(
  paths: Paths,
  id: string,
  record: OwnerRecord | undefined,
  ownership: Ownership,
): void {
  const store = new ContainerStore(paths);
  for (const process of [record?.init, record?.process]) {
    if (process !== undefined) killProcess(process, PATIENCE);
  }
  openCgroup(readLayout(), containerCgroup(id)).remove();
  removeEtcFiles(paths, id);
  const container = readable(() => store.read(id));
  if (container === undefined || record === undefined || record.remove) {
    store.remove(id);
    store.releaseNamesOf(id);
  } else {
    store.writeExit(id, {
      exitCode: LOST,
      oomKilled: false,
      ...(record.process === undefined ? {} : { startedAt: record.process.startedAt }),
      finishedAt: new Date().toISOString(),
      error: "the command that ran it was killed",
    });
  }
  ownership.release();
}

/** A damaged file harms its own container only. */
function readable<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}
