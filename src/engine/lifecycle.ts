/** What every run of a container does around its first process: says that it runs, records its end, gives back. */
import { MydockerError } from "../errors.ts";
import { encodeBytes } from "../ffi/bytes.ts";
import { close, O, open, writeAll } from "../linux/fd.ts";
import { unlinkIfExists } from "../linux/file.ts";
import type { ExitStatus } from "../linux/process.ts";
import { identify } from "../linux/process_identity.ts";
import { log } from "../log.ts";
import type { ExitRecord } from "./container_record.ts";
import type { CreatedContainer } from "./create.ts";
import { recordContainerEvent } from "./events.ts";
import type { RunOptions } from "./run_options.ts";
import type { RunningContainer } from "./start.ts";
import { recordVolumeUse } from "./volume_events.ts";

/** What cannot be given back is not to hide how the command ended, or why it did not start. */
export function cleanUp(undo: DisposableStack): void {
  try {
    undo.dispose();
  } catch (error) {
    for (const each of suppressed(error)) {
      log.warn(`the container could not be cleaned up: ${describe(each)}`);
    }
  }
}

/** All errors of a stack that was unwound, the first one first. */
function suppressed(error: unknown): unknown[] {
  return error instanceof SuppressedError
    ? [...suppressed(error.suppressed), ...suppressed(error.error)]
    : [error];
}

const describe = (error: unknown): string =>
  error instanceof Error ? error.message : String(error);

/** `--cidfile`: a new file with the container's id; `undo` removes it. */
export function writeIdFile(path: string, id: string, undo: DisposableStack): void {
  let fd: number;
  try {
    fd = open(path, O.O_WRONLY | O.O_CREAT | O.O_EXCL, 0o644);
  } catch (cause) {
    throw new MydockerError(`cannot write the container's id: ${describe(cause)}`, {
      exitCode: 125,
      cause,
    });
  }
  undo.defer(() => unlinkIfExists(path));
  try {
    writeAll(fd, encodeBytes(id), path);
  } finally {
    close(fd);
  }
}

/** Says who runs, for `ps` and for whoever has to clean up after us. */
export function announce(
  { ownership, paths, record }: CreatedContainer,
  { pid }: RunningContainer,
  startedAt: string,
): void {
  const identity = identify(pid);
  if (identity === undefined) return; // it has not been waited for, so it is there
  const { remove } = record.options;
  const { init: _, restarting: __, ...said } = ownership.record;
  ownership.update({ ...said, remove, process: { ...identity, startedAt } });
  recordVolumeUse(paths, record, "mount");
  recordContainerEvent(paths, record, "start");
}

/** How it ended, now. */
export function exitOf(
  { cgroup }: RunningContainer,
  status: ExitStatus,
  startedAt: string,
): ExitRecord {
  return {
    exitCode: status.code,
    oomKilled: cgroup.oomKilled(),
    startedAt,
    finishedAt: new Date().toISOString(),
  };
}

/**
 * Tells who listens how it ended, and writes that down, unless it is removed now. In this order:
 * whoever waits for the record says then what it has done.
 */
export function recordExit({ paths, store, record }: CreatedContainer, exit: ExitRecord): void {
  const named = store.current(record);
  const { exitCode, finishedAt, oomKilled, startedAt = finishedAt } = exit;
  if (oomKilled) recordContainerEvent(paths, named, "oom");
  const seconds = Math.max(0, Date.parse(finishedAt) - Date.parse(startedAt)) / 1000;
  recordContainerEvent(paths, named, "die", {
    execDuration: String(Math.floor(seconds)),
    exitCode: String(exitCode),
  });
  if (exit.error === undefined) recordVolumeUse(paths, record, "unmount");
  if (record.options.remove) return;
  try {
    store.writeExit(record.id, exit);
  } catch (error) {
    // The command has ended as it has: its exit code counts, not ours.
    log.warn(`the end of container ${record.name} could not be recorded: ${describe(error)}`);
  }
}

/** The kernel says in no other way that a program does not fit into its limits (execve(2)). */
export function warnOfLimits({ ulimits }: RunOptions): void {
  const memory = ["RLIMIT_AS", "RLIMIT_DATA", "RLIMIT_STACK"];
  for (const { name, soft } of ulimits) {
    if (!memory.includes(name)) continue;
    const limit = `${name.slice("RLIMIT_".length).toLowerCase()}=${soft}`;
    log.warn(`the command was ended by SIGSEGV: its limit ${limit} may be too low to start with`);
  }
}
