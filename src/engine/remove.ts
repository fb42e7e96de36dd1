/** `rm`: containers that have ended, or by force any. */
import { readLayout } from "../cgroups/layout.ts";
import { openCgroup } from "../cgroups/manager.ts";
import { MydockerError, NotFoundError } from "../errors.ts";
import { processState } from "../linux/proc.ts";
import { identify, killProcess } from "../linux/process_identity.ts";
import type { Paths } from "../paths.ts";
import { containerCgroup, thawIfFrozen } from "./container_cgroup.ts";
import { ContainerStore } from "./container_store.ts";
import { recordContainerEvent } from "./events.ts";
import { releaseKeptImages } from "./kept_images.ts";
import {
  claimRemoval,
  claimToRemove,
  type Ownership,
  ownerOf,
  readOwner,
  readOwnerFile,
} from "./ownership.ts";
import { killByCgroup, recover, stopAndRelease } from "./recovery.ts";
import { removeOwnVolumes, volumesOf } from "./volume_users.ts";

/** How long the command that runs a container may take to notice that it has ended, in milliseconds. */
const PATIENCE = 10_000;

/** Another command removes it. */
export class BeingRemovedError extends MydockerError {}

/** What `rm` is told. */
export interface RemoveOptions {
  readonly force?: boolean;
  readonly volumes?: boolean;
}

/**
 * Removes a container by name, id or prefix. Of several commands that want to, one does.
 * @param options force: kills it first if it runs, and the command that runs it if that does not let
 *   go; volumes: its own volumes, those without a name, go as well, as with `--rm` they do anyway
 * @throws {MydockerError} when there is none, or it runs and is not to be killed
 */
export function removeContainer(
  paths: Paths,
  reference: string,
  { force = false, volumes = false }: RemoveOptions = {},
): void {
  recover(paths);
  const store = new ContainerStore(paths);
  const id = store.resolve(reference);
  using removal = claimRemoval(paths, id);
  if (removal === undefined) {
    throw new BeingRemovedError(`removal of container ${reference} is already in progress`);
  }
  const gone = () => new NotFoundError(`No such container: ${reference}`);
  if (!store.hasFiles(id)) throw gone();
  const ownership = takeOver(paths, id, force);
  // Whoever ran it removes it, with --rm.
  if (!store.hasFiles(id)) {
    ownership.release();
    if (force) return;
    throw gone();
  }
  removeWithVolumes(paths, store, ownership, volumes);
  ownership.release();
  releaseKeptImages(paths);
}

function removeWithVolumes(
  paths: Paths,
  store: ContainerStore,
  ownership: Ownership,
  asked: boolean,
): void {
  const { id } = ownership.record;
  const record = store.readIfSound(id);
  if (record !== undefined && (asked || record.options.remove)) {
    const own = volumesOf(record).some(({ anonymous }) => anonymous === true);
    // For whoever comes after us, should we be killed. A full disk is no reason not to remove things.
    if (own) attempt(() => ownership.update({ ...ownership.record, volumes: true }));
    if (own) removeOwnVolumes(paths, id, record);
  }
  store.remove(id);
  if (record !== undefined) recordContainerEvent(paths, record, "destroy");
}

function attempt(act: () => void): void {
  try {
    act();
  } catch (error) {
    if (!(error instanceof MydockerError)) throw error;
  }
}

/**
 * Becomes the owner as soon as the present one lets go.
 * @throws {MydockerError} when it does not
 */
function takeOver(paths: Paths, id: string, force: boolean): Ownership {
  let isKilled = false;
  for (const deadline = Date.now() + PATIENCE; ; Bun.sleepSync(1)) {
    const last = readOwnerFile(paths, id);
    const ownership = claimToRemove(paths, id, containerCgroup(id));
    if (ownership !== undefined) {
      stopAndRelease(paths, id, last);
      return ownership;
    }
    const owner = readOwner(paths, id);
    const isRunning =
      owner?.process !== undefined &&
      identify(owner.process.pid)?.startTime === owner.process.startTime;
    const isLate = Date.now() >= deadline;
    if (!force) {
      const name = new ContainerStore(paths).nameOf(id) ?? id.slice(0, 12);
      const restarts = owner?.restarting !== undefined;
      if (isRunning || restarts) {
        const what = restarts ? "restarting" : "running";
        throw new MydockerError(`cannot remove container "/${name}": container is ${what}`, {
          hint: "stop it first, or use `rm -f`",
        });
      }
      if (isLate) throw new MydockerError(`container ${name} is in use by another command`);
      continue;
    }
    if (isRunning && owner?.process !== undefined) {
      thawIfFrozen(openCgroup(readLayout(), owner.cgroup)); // frozen, it would not end
      const record = new ContainerStore(paths).readIfSound(id);
      if (record !== undefined) recordContainerEvent(paths, record, "kill", { signal: "9" });
      killProcess(owner.process, PATIENCE);
    }
    const holder = ownerOf(paths, id);
    if (holder !== undefined && owner === undefined && !isKilled) {
      isKilled = true;
      killByCgroup(paths, id);
    }
    if (Date.now() >= deadline + 2 * PATIENCE) {
      throw new MydockerError(`container ${id.slice(0, 12)} is in use by another command`, {
        hint: "wait for it, or end it",
      });
    }
    // One that only cleans up behind a dead owner, whose word this is, lets go by itself.
    if (holder === undefined || holder !== owner?.owner) continue;
    // One that waits to start it again has nothing to record.
    const isIdle = owner?.restarting !== undefined;
    if (isLate || isIdle || processState(holder) === "T") killOwner(paths, id, holder);
  }
}

/** SIGKILL to the command that runs a container; what it leaves is ours to finish. */
function killOwner(paths: Paths, id: string, pid: number): void {
  const identity = identify(pid);
  // Only what has the lock after it was identified is the one that had it before.
  if (identity !== undefined && ownerOf(paths, id) === pid) killProcess(identity, PATIENCE);
}
