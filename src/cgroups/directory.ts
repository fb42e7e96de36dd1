/** A cgroup's directory in one hierarchy: making it, reading and writing its files, emptying and removing it. */
import { encodeBytes } from "../ffi/bytes.ts";
import { isErrno, SysError } from "../ffi/call.ts";
import { readDirectory } from "../linux/directory.ts";
import { close, O, open, poll, write } from "../linux/fd.ts";
import {
  ifExists,
  mkdirIfMissing,
  readFile,
  rmdir,
  S_IFDIR,
  S_IFMT,
  statIfExists,
  writeControl,
} from "../linux/file.ts";
import { kill, SIGNALS } from "../linux/process.ts";
import type { CgroupWrite, ReadCurrent } from "./controller.ts";
import { CgroupError, mkdirError, refusedWrite } from "./error.ts";

/** How long an emptied cgroup may stay busy, in milliseconds: what was killed has yet to be reaped. */
const PATIENCE = 10_000;

/** Makes one directory. @returns false when it was there. @throws {CgroupError} */
export function makeCgroupDirectory(controller: string, directory: string): boolean {
  try {
    return mkdirIfMissing(directory, 0o755);
  } catch (error) {
    if (error instanceof SysError) throw mkdirError(controller, directory, error);
    throw error;
  }
}

/** {@link makeCgroupDirectory} where the parent may be missing: undefined then. */
export function tryMakeCgroupDirectory(controller: string, directory: string): boolean | undefined {
  try {
    return mkdirIfMissing(directory, 0o755);
  } catch (error) {
    if (isErrno(error, "ENOENT")) return undefined;
    if (error instanceof SysError) throw mkdirError(controller, directory, error);
    throw error;
  }
}

/** Reads files of a cgroup for plans and figures. */
export function reader(directory: string): ReadCurrent {
  return (file) => {
    try {
      return readFile(`${directory}/${file}`).trim();
    } catch (error) {
      // ENODEV: the cgroup was removed while its file was open. EOPNOTSUPP: not in this mode.
      if (isErrno(error, "ENOENT", "ENODEV", "EOPNOTSUPP")) return undefined;
      throw error;
    }
  };
}

/** Writes one limit. @throws {CgroupError} naming controller, file and value */
export function writeLimit(directory: string, write: CgroupWrite): void {
  try {
    writeControl(`${directory}/${write.file}`, write.value);
  } catch (error) {
    if (error instanceof SysError) throw refusedWrite(write, error, reader(directory));
    throw error;
  }
}

/** Writes limits one after the other; those for one file through one descriptor. @throws {CgroupError} */
export function writeLimits(directory: string, writes: readonly CgroupWrite[]): void {
  for (let at = 0; at < writes.length; ) {
    const first = writes[at] as CgroupWrite;
    let end = at + 1;
    while (writes[end]?.file === first.file) end++;
    if (end === at + 1) writeLimit(directory, first);
    else writeSeries(directory, writes.slice(at, end));
    at = end;
  }
}

function writeSeries(directory: string, writes: readonly CgroupWrite[]): void {
  let current = writes[0] as CgroupWrite;
  let fd: number | undefined;
  try {
    fd = open(`${directory}/${current.file}`, O.O_WRONLY);
    for (const each of writes) {
      current = each;
      write(fd, encodeBytes(each.value));
    }
  } catch (error) {
    if (error instanceof SysError) throw refusedWrite(current, error, reader(directory));
    throw error;
  } finally {
    if (fd !== undefined) close(fd);
  }
}

/** The cgroup and all cgroups in it, the innermost first. Missing: none. */
export function cgroupTree(directory: string): string[] {
  const names = ifExists(() => readDirectory(directory));
  if (names === undefined) return [];
  const inner = names
    .map((name) => `${directory}/${name}`)
    .filter((path) => isDirectory(path))
    .flatMap(cgroupTree);
  return [...inner, directory];
}

function isDirectory(path: string): boolean {
  return ((statIfExists(path)?.mode ?? 0) & S_IFMT) === S_IFDIR;
}

/** The processes in these cgroups, by number; 0 stands for one in a pid namespace that we cannot see. */
export function processesIn(directories: readonly string[]): number[] {
  return directories.flatMap((directory) => {
    const read = reader(directory);
    // A threaded cgroup of v2 lists its threads only (EOPNOTSUPP for processes).
    const text = read("cgroup.procs") ?? read("cgroup.threads") ?? "";
    return text.split("\n").filter(Boolean).map(Number);
  });
}

/**
 * Sends SIGKILL; a process that has just ended is fine. Never to 0, a process that has no number
 * here: kill(2) would take it for our own process group. Nor to ourselves.
 */
export function killProcess(pid: number): void {
  if (pid <= 0 || pid === process.pid) return;
  try {
    kill(pid, SIGNALS.SIGKILL);
  } catch (error) {
    if (!isErrno(error, "ESRCH")) throw error;
  }
}

/** Waits until no process is left. @throws {CgroupError} when that takes too long */
export function awaitEmpty(directories: readonly string[], again: () => void): void {
  const end = performance.now() + PATIENCE;
  for (let pause = 0; ; pause = Math.min(pause + 1, 20)) {
    const left = processesIn(directories);
    if (left.length === 0) return;
    if (performance.now() > end) {
      throw new CgroupError(
        `cgroup ${directories.at(-1)}: process ${left[0]} does not end after SIGKILL`,
        { controller: "cgroup", hint: "it may be waiting for a device or a network file system" },
      );
    }
    again();
    poll([], pause);
  }
}

/** Removes the directory and the cgroups in it. Missing is fine. Everything in it has been killed. */
export function removeCgroupDirectory(directory: string): void {
  const end = performance.now() + PATIENCE;
  for (let pause = 0; ; pause = Math.min(pause + 1, 20)) {
    try {
      rmdir(directory);
      return;
    } catch (error) {
      if (isErrno(error, "ENOENT")) return;
      if (!isErrno(error, "EBUSY") || performance.now() > end) throw error;
    }
    // Busy: with cgroups that were made inside, or for the moment that an ended process takes to go.
    for (const inner of cgroupTree(directory).slice(0, -1)) removeCgroupDirectory(inner);
    poll([], pause);
  }
}

/**
 * Moves what runs in a cgroup into its directory in another v1 hierarchy, until nothing that was
 * forked meanwhile is left out. Into one cgroup, whatever cgroups there are inside of it.
 * @param from the directories to take from, of which the first counts
 * @throws {CgroupError} when a process does not move for ten seconds
 */
export function moveAll(from: readonly string[], to: string): void {
  const source = from[0];
  if (source === undefined) return;
  const end = performance.now() + PATIENCE;
  for (;;) {
    const there = new Set(processesIn([to]));
    const left = processesIn(cgroupTree(source)).filter((pid) => pid > 0 && !there.has(pid));
    if (left.length === 0) return;
    if (performance.now() > end)
      throw new CgroupError(`cgroup ${to}: process ${left[0]} does not move there`, {
        controller: "cgroup",
      });
    for (const pid of left) {
      try {
        writeControl(`${to}/cgroup.procs`, String(pid));
      } catch (error) {
        if (!isErrno(error, "ESRCH")) throw error; // it has ended
      }
    }
  }
}
