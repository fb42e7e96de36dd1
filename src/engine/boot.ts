/** What a boot and a shutdown of the machine mean for containers: `system boot` and `system shutdown`. */
import { isErrno } from "../ffi/call.ts";
import { close, flock, LOCK_EX, O, open } from "../linux/fd.ts";
import { mkdirIfMissing, rmdirIfEmpty, statIfExists } from "../linux/file.ts";
import type { Paths } from "../paths.ts";
import { ContainerStore } from "./container_store.ts";
import { isUpNow } from "./lifecycle_process.ts";
import { startInBackground } from "./lifecycle_start.ts";
import { isUp, listContainers } from "./list.ts";
import { recover } from "./recovery.ts";
import { NO_RESTART, restartsAfter, startsAtBoot } from "./restart_policy.ts";

/** Is told of each container. */
export interface BootListener {
  readonly started: (name: string) => Promise<void>;
  readonly failed: (error: unknown) => void;
}

/** An empty directory that says that `system boot` was called since the boot. */
const marker = (paths: Paths): string => `${paths.run}/booted`;

/**
 * Starts, in the order in which they were made, the containers whose restart policy says so: of
 * those that have run before. A further call since the boot starts what was lost meanwhile, and
 * nothing that somebody has stopped.
 * @returns whether all of them could be started
 */
export async function bootContainers(paths: Paths, listener: BootListener): Promise<boolean> {
  recover(paths);
  using _alone = lockRunDirectory(paths);
  const isFirst = statIfExists(marker(paths)) === undefined;
  let allStarted = true;
  const store = new ContainerStore(paths);
  for (const { id, name } of dueContainers(paths, store, isFirst)) {
    try {
      startInBackground(paths, id);
      await listener.started(name);
    } catch (error) {
      // It may have been removed since, or started by somebody else.
      if (!store.hasFiles(id) || isUpNow({ paths, store, id })) continue;
      allStarted = false;
      listener.failed(error);
    }
  }
  // Now: one that is killed before can be followed by another.
  if (isFirst) markBooted(paths);
  return allStarted;
}

function markBooted(paths: Paths): void {
  try {
    mkdirIfMissing(marker(paths), 0o700);
  } catch (error) {
    if (!isErrno(error, "ENOSPC", "EDQUOT")) throw error; // on a full disk the next one is a first one, too
  }
}

/** One `system boot` after the other. */
function lockRunDirectory({ run }: Paths): Disposable {
  const fd = open(run, O.O_RDONLY | O.O_DIRECTORY);
  flock(fd, LOCK_EX);
  return { [Symbol.dispose]: () => close(fd) };
}

interface Due {
  readonly id: string;
  readonly name: string;
  readonly created: string;
}

function dueContainers(paths: Paths, store: ContainerStore, isFirst: boolean): Due[] {
  const isDue = isFirst ? startsAtBoot : restartsAfter;
  return store
    .ids()
    .flatMap((id): Due | [] => {
      // One whose monitor is still clearing up is started when it has.
      if (isUpNow({ paths, store, id })) return [];
      try {
        const record = store.read(id);
        const exit = store.readExit(id);
        if (record === undefined || exit === undefined) return [];
        const { exitCode, restartCount = 0 } = exit;
        const ended = { exitCode, restartCount, isStopped: store.isStoppedByHand(id) };
        return isDue(record.options.restart ?? NO_RESTART, ended) ? record : [];
      } catch {
        return []; // it is damaged: `ps` says so
      }
    })
    .sort((a, b) => (a.created < b.created ? -1 : 1));
}

/** The containers that a shutdown has to stop; the next {@link bootContainers} is one after a boot. */
export function containersToStop(paths: Paths): string[] {
  const up = listContainers(paths).filter(({ state }) => isUp(state));
  rmdirIfEmpty(marker(paths));
  return up.map(({ record }) => record.id);
}
