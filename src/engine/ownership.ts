/**
 * Who works on a container: the process that holds the lock on `<run>/owners/<id>`.
 *
 * Whoever makes, runs or removes a container owns it meanwhile. The kernel gives the lock back when
 * its holder dies, whatever killed it, so an owner's file that nobody has locked means that work was
 * left half done: the next command finds it and finishes it (recovery.ts). The file is made before
 * anything else of the container's and removed last.
 */

import { MydockerError } from "../errors.ts";
import { encodeBytes } from "../ffi/bytes.ts";
import { isErrno } from "../ffi/call.ts";
import {
  close,
  flock,
  ftruncate,
  LOCK_EX,
  LOCK_NB,
  LOCK_SH,
  O,
  open,
  pwrite,
} from "../linux/fd.ts";
import { ifExists, readDirectoryEntries, readFile, stat, statFd, unlink } from "../linux/file.ts";
import { lockedFiles } from "../linux/proc.ts";
import type { Paths } from "../paths.ts";

/** What an owner says of its work, for others to read. */
export interface OwnerRecord {
  readonly id: string;
  /** The container is to be gone when the work is over, also when it is left half done. */
  readonly remove: boolean;
  /** path of its cgroup in every hierarchy */
  readonly cgroup: string;
  /** The first process, once it runs. */
  readonly process?: {
    readonly pid: number;
    /** clock ticks since boot */
    readonly startTime: number;
    readonly bootId: string;
    /** RFC 3339 */
    readonly startedAt: string;
  };
}

const folder = (paths: Paths): string => `${paths.run}/owners`;
const fileOf = (paths: Paths, id: string): string => `${folder(paths)}/${id}`;

/** A lock that is held. Closing the process releases it. */
export class Ownership {
  constructor(
    readonly record: OwnerRecord,
    readonly path: string,
    readonly fd: number,
  ) {}

  /** Replaces what the owner says. */
  update(record: OwnerRecord): void {
    const bytes = encodeBytes(JSON.stringify(record));
    pwrite(this.fd, bytes, 0);
    ftruncate(this.fd, bytes.length);
  }

  /** The work is over: nothing is left to be finished by anybody. */
  release(): void {
    ifExists(() => unlink(this.path));
    close(this.fd);
  }
}

/**
 * Becomes the owner of a container.
 * @throws {MydockerError} when another process is
 */
export function claim(paths: Paths, record: OwnerRecord): Ownership {
  const path = fileOf(paths, record.id);
  for (;;) {
    const fd = open(path, O.O_RDWR | O.O_CREAT, 0o600);
    if (!tryLock(fd)) {
      close(fd);
      throw new MydockerError(`container ${record.id.slice(0, 12)} is in use by another command`);
    }
    // Between open and flock the file may have been removed by the one who held the lock.
    if (statFd(fd).nlink === 0) {
      close(fd);
      continue;
    }
    const ownership = new Ownership(record, path, fd);
    ownership.update(record);
    return ownership;
  }
}

function tryLock(fd: number): boolean {
  try {
    flock(fd, LOCK_EX | LOCK_NB);
    return true;
  } catch (error) {
    if (isErrno(error, "EAGAIN")) return false;
    throw error;
  }
}

/** What the living owner of a container says; undefined when it has none. */
export function readOwner(paths: Paths, id: string): OwnerRecord | undefined {
  const fd = ifExists(() => open(fileOf(paths, id), O.O_RDONLY));
  if (fd === undefined) return undefined;
  try {
    flock(fd, LOCK_SH | LOCK_NB);
    return undefined; // nobody has it
  } catch (error) {
    if (!isErrno(error, "EAGAIN")) throw error;
  } finally {
    close(fd);
  }
  return parseRecord(ifExists(() => readFile(fileOf(paths, id))));
}

function parseRecord(text: string | undefined): OwnerRecord | undefined {
  try {
    return text === undefined ? undefined : (JSON.parse(text) as OwnerRecord);
  } catch {
    return undefined; // killed between creating the file and writing it
  }
}

/** Work that a dead owner left: locked by us now. */
export interface Orphan {
  readonly id: string;
  /** undefined when it died before it said anything */
  readonly record: OwnerRecord | undefined;
  readonly ownership: Ownership;
}

/**
 * Finds and locks what dead owners left behind. With many living ones it costs two files read:
 * /proc/locks says which locks are held, and only the others are tried.
 */
export function* takeOrphans(paths: Paths): Generator<Orphan> {
  const entries = ifExists(() => readDirectoryEntries(folder(paths))) ?? [];
  if (entries.length === 0) return;
  const { devMajor, devMinor } = stat(folder(paths));
  const locked = lockedFiles();
  for (const { name, ino } of entries) {
    if (locked.has(`${devMajor}:${devMinor}:${ino}`)) continue;
    const path = fileOf(paths, name);
    const fd = ifExists(() => open(path, O.O_RDWR));
    if (fd === undefined) continue;
    if (!tryLock(fd) || statFd(fd).nlink === 0) {
      close(fd);
      continue;
    }
    const record = parseRecord(readFile(path));
    const fallback = { id: name, remove: false, cgroup: "" };
    yield { id: name, record, ownership: new Ownership(record ?? fallback, path, fd) };
  }
}
