/** The first process of a container that runs, as commands other than its monitor find it. */
import { readLayout } from "../cgroups/layout.ts";
import { type Cgroup, openCgroup } from "../cgroups/manager.ts";
import { MydockerError, NotFoundError } from "../errors.ts";
import { isErrno } from "../ffi/call.ts";
import { close, POLLIN, poll } from "../linux/fd.ts";
import { pidfdSendSignal } from "../linux/process.ts";
import { openProcess } from "../linux/process_identity.ts";
import type { Paths } from "../paths.ts";
import type { ContainerRecord } from "./container_record.ts";
import { ContainerStore } from "./container_store.ts";
import { type OwnerRecord, ownerOf, readOwner } from "./ownership.ts";
import { recover } from "./recovery.ts";

/** How long whoever ran it may take to record its end, in milliseconds. */
const PATIENCE = 10_000;

/** A container by name, id or prefix. */
export interface FoundContainer {
  readonly paths: Paths;
  readonly store: ContainerStore;
  readonly id: string;
}

/** Finds a container; what dead commands left of others is finished first. @throws {MydockerError} when there is none */
export function findContainer(paths: Paths, reference: string): FoundContainer {
  recover(paths);
  const store = new ContainerStore(paths);
  return { paths, store, id: store.resolve(reference) };
}

/** What is on record of it. @throws {MydockerError} when it has just been removed */
export function recordOf({ store, id }: FoundContainer): ContainerRecord {
  const record = store.read(id);
  if (record === undefined) throw new NotFoundError(`No such container: ${id.slice(0, 12)}`);
  return record;
}

/** Its first process while that runs. */
export class RunningProcess implements Disposable {
  private constructor(
    readonly pid: number,
    readonly pidfd: number,
    readonly owner: OwnerRecord,
    readonly paths: Paths,
  ) {}

  /** @returns undefined when it does not run */
  static of({ paths, id }: FoundContainer): RunningProcess | undefined {
    const owner = readOwner(paths, id);
    if (owner?.process === undefined) return undefined;
    const pidfd = openProcess(owner.process);
    return pidfd === undefined
      ? undefined
      : new RunningProcess(owner.process.pid, pidfd, owner, paths);
  }

  /** @throws {CgroupError} */
  get cgroup(): Cgroup {
    return openCgroup(readLayout(), this.owner.cgroup);
  }

  /** Sends a signal, unless it has just ended. */
  signal(signal: number): void {
    try {
      pidfdSendSignal(this.pidfd, signal);
    } catch (error) {
      if (!isErrno(error, "ESRCH")) throw error;
    }
  }

  /** Waits for its end. @param patience milliseconds, -1 for ever. @returns whether it has ended */
  awaitEnd(patience: number): boolean {
    const deadline = Date.now() + patience;
    const entry = { fd: this.pidfd, events: POLLIN, revents: 0 };
    for (;;) {
      const left = patience < 0 ? -1 : Math.max(0, deadline - Date.now());
      if (poll([entry], left) > 0) return true;
      if (left === 0) return false;
    }
  }

  [Symbol.dispose](): void {
    close(this.pidfd);
  }
}

/** Whether a container has ended, and waits to be started again by its restart policy. */
export const isRestarting = ({ paths, id }: FoundContainer): boolean =>
  readOwner(paths, id)?.restarting !== undefined;

/** Whether it runs, or is about to by its restart policy; not when it has ended, on record or not. */
export function isUpNow(found: FoundContainer): boolean {
  if (isRestarting(found)) return true;
  using process = RunningProcess.of(found);
  return process !== undefined && !process.awaitEnd(0);
}

/**
 * Does something to a container that runs.
 * @throws {MydockerError} that it does not run, when it has ended meanwhile and that was the reason
 */
export function whileRunning<T>(process: RunningProcess, id: string, act: () => T): T {
  try {
    return act();
  } catch (cause) {
    if (!process.awaitEnd(0)) throw cause;
    throw new MydockerError(`Container ${id} is not running`, { cause });
  }
}

/** @throws {MydockerError} for a container that {@link isRestarting} */
export function refuseRestarting(found: FoundContainer): void {
  if (!isRestarting(found)) return;
  throw new MydockerError(
    `Container ${found.id} is restarting, wait until the container is running`,
  );
}

/**
 * Waits until the end of a container whose process has ended is on record, or it is removed.
 * @returns false when nobody has recorded it for long
 */
export function awaitRecord({ paths, store, id }: FoundContainer): boolean {
  for (const deadline = Date.now() + PATIENCE; Date.now() < deadline; Bun.sleepSync(1)) {
    if (ownerOf(paths, id) === undefined || store.hasExit(id) || !store.hasFiles(id)) return true;
  }
  return false;
}
