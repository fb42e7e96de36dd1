/** Joining namespaces that exist (setns(2)), and the ids of a new user namespace (user_namespaces(7)). */
import { isErrno } from "../ffi/call.ts";
import { readDirectory } from "../linux/directory.ts";
import { close, O, open } from "../linux/fd.ts";
import { writeControl } from "../linux/file.ts";
import { CLONE, setns, unshare } from "../linux/process.ts";
import { FLAGS, isNew, type NamespaceEntry, type NamespaceType } from "./namespaces.ts";

/** A namespace could not be joined, or its ids not be mapped: says which. */
export class NamespaceError extends Error {}

/**
 * A namespace cannot be joined because this process has several threads (setns(2)). The JavaScript
 * runtime may start one whenever it likes; in a fresh process it can be told not to.
 */
export class ThreadsError extends Error {}

/** The user namespace first, which gives the right to join what it owns; the mount namespace last, because paths change with it. */
const ORDER: readonly NamespaceType[] = [
  "user",
  "ipc",
  "uts",
  "network",
  "pid",
  "cgroup",
  "time",
  "mount",
];

/**
 * Joins every namespace of the list that has a path. The pid and time namespaces are those of
 * children from now on.
 * @throws {NamespaceError}
 */
export function joinNamespaces(namespaces: readonly NamespaceEntry[]): void {
  const opened: { type: NamespaceType; path: string; fd: number }[] = [];
  try {
    for (const type of ORDER) {
      const path = namespaces.find((entry) => entry.type === type)?.path;
      if (path !== undefined) opened.push({ type, path, fd: open(path, O.O_RDONLY) });
    }
    // One that is ours already cannot be joined again if it is a user namespace (setns(2)).
    for (const { type, path, fd } of opened) join(type, path, fd);
  } catch (error) {
    if (error instanceof NamespaceError || error instanceof ThreadsError) throw error;
    throw new NamespaceError(error instanceof Error ? error.message : String(error), {
      cause: error,
    });
  } finally {
    for (const { fd } of opened) close(fd);
  }
}

function join(type: NamespaceType, path: string, fd: number): void {
  try {
    enterNamespaces(fd, FLAGS[type]);
  } catch (error) {
    if (error instanceof ThreadsError) throw error;
    const why = isErrno(error, "EINVAL")
      ? `it is no ${type} namespace, or our own`
      : error instanceof Error
        ? error.message
        : String(error);
    throw new NamespaceError(`cannot join the ${type} namespace ${path}: ${why}`, { cause: error });
  }
}

/**
 * setns(2), in a process that may have got further threads.
 * @param fd a namespace's file, or a pidfd
 * @param flags one or several of CLONE_NEW*
 * @throws {ThreadsError} when they are in the way
 */
export function enterNamespaces(fd: number, flags: number): void {
  // Root and working directory are shared among threads; a mount namespace wants its own.
  if ((flags & CLONE.CLONE_NEWNS) !== 0) unshare(CLONE.CLONE_FS);
  try {
    setns(fd, flags);
  } catch (error) {
    // User namespaces say EINVAL, which they say of our own too, time namespaces EUSERS.
    if (!isErrno(error, "EINVAL", "EUSERS") || threadCount() === 1) throw error;
    throw new ThreadsError("another thread is in the way", { cause: error });
  }
}

const threadCount = (): number => readDirectory("/proc/self/task").length;

/**
 * Whether a process in between has to enter namespaces before the container's first process can be
 * forked: those that only children enter, and all that a new user namespace would not own.
 */
export function needsStage(namespaces: readonly NamespaceEntry[]): boolean {
  const joined = (type: NamespaceType): boolean =>
    namespaces.some((entry) => entry.type === type && entry.path !== undefined);
  return (
    joined("pid") ||
    joined("user") ||
    namespaces.some(({ type }) => type === "time") ||
    (isNew(namespaces, "user") && namespaces.some(({ path }) => path !== undefined))
  );
}

/** An offset of a clock in a new time namespace (time_namespaces(7)). */
export interface TimeOffset {
  readonly secs: number;
  readonly nanosecs: number;
}

/** Offsets by clock. */
export interface TimeOffsets {
  readonly monotonic?: TimeOffset;
  readonly boottime?: TimeOffset;
}

const NONE: TimeOffset = { secs: 0, nanosecs: 0 };

/** Makes a time namespace for the children of this process. */
export function unshareTime(offsets: TimeOffsets = {}): void {
  unshare(CLONE.CLONE_NEWTIME);
  for (const clock of ["monotonic", "boottime"] as const) {
    const { secs, nanosecs } = offsets[clock] ?? NONE;
    writeControl("/proc/self/timens_offsets", `${clock} ${secs} ${nanosecs}`);
  }
}

/** Ids of a user namespace: `size` of them from `containerID` on are the host's from `hostID` on. */
export interface IdMapping {
  readonly containerID: number;
  readonly hostID: number;
  readonly size: number;
}

/**
 * Maps the ids of a process's new user namespace, once (CVE-2022-36109).
 * @throws {NamespaceError} what the kernel refuses: overlaps, more than 340 entries, no rights
 */
export function writeIdMappings(
  pid: number,
  uids: readonly IdMapping[],
  gids: readonly IdMapping[],
): void {
  for (const [file, mappings] of [
    ["uid_map", uids],
    ["gid_map", gids],
  ] as const) {
    if (mappings.length === 0) continue;
    const lines = mappings.map(
      ({ containerID, hostID, size }) => `${containerID} ${hostID} ${size}`,
    );
    try {
      writeControl(`/proc/${pid}/${file}`, `${lines.join("\n")}\n`);
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      throw new NamespaceError(`cannot map ids ${lines.join(", ")} (${file}): ${why}`, {
        cause: error,
      });
    }
  }
}
