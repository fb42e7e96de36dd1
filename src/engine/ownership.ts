/**
 * Who works on a container: the process that holds the lock on `<run>/owners/<id>`.
 *
 * Whoever makes, runs or removes a container owns it meanwhile. The kernel gives the lock back when
 * its holder dies, whatever killed it, so an owner's file that nobody has locked means that work was
 * left half done: the next command finds it and finishes it (recovery.ts). The file is made before
 * anything else of the container's and removed last.
 *
 * To try the lock of each of a thousand running containers would take longer than to start one. So
 * there is `<run>/commands/<pid>.<id>` beside it, made before the owner's file and removed after it,
 * and asking for the process costs one system call that finds nearly all dead ones; `ps` and the
 * other commands that look at all containers try the locks themselves.
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
import { ifExists, readDirectoryEntries, readFile, statFd, unlinkIfExists } from "../linux/file.ts";
import { getpid, processExists } from "../linux/process.ts";
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

const ownersIn = (paths: Paths): string => `${paths.run}/owners`;
const commandsIn = (paths: Paths): string => `${paths.run}/commands`;
const fileOf = (paths: Paths, id: string): string => `${ownersIn(paths)}/${id}`;
const noteOf = (paths: Paths, id: string): string => `${commandsIn(paths)}/${getpid()}.${id}`;

/** A lock that is held. The end of the process releases it. */
export class Ownership {
  readonly #files: readonly string[];

  /** @param files what says that there is an owner, in the order of its removal */
  constructor(
    readonly record: OwnerRecord,
    readonly fd: number,
    files: readonly string[],
  ) {
    this.#files = files;
  }

  /** Replaces what the owner says. */
  update(record: OwnerRecord): void {
    const bytes = encodeBytes(JSON.stringify(record));
    pwrite(this.fd, bytes, 0);
    ftruncate(this.fd, bytes.length);
  }

  /** The work is over: nothing is left to be finished by anybody. */
  release(): void {
    for (const file of this.#files) unlinkIfExists(file);
    close(this.fd);
  }
}

/**
 * Becomes the owner of a container that is new: nobody else can be but a recovery, which took the
 * file for one that was left, and soon sees that there is nothing to finish.
 */
export function claimNew(paths: Paths, record: OwnerRecord): Ownership {
  return take(paths, record, (fd) => {
    flock(fd, LOCK_EX);
    return true;
  });
}

/**
 * Becomes the owner of a container.
 * @throws {MydockerError} when another process is
 */
export function claim(paths: Paths, record: OwnerRecord): Ownership {
  return take(paths, record, tryLock);
}

function take(paths: Paths, record: OwnerRecord, lock: (fd: number) => boolean): Ownership {
  const path = fileOf(paths, record.id);
  const note = noteOf(paths, record.id);
  close(open(note, O.O_WRONLY | O.O_CREAT, 0o600));
  for (;;) {
    const fd = open(path, O.O_RDWR | O.O_CREAT, 0o600);
    if (!lock(fd)) {
      close(fd);
      unlinkIfExists(note);
      throw new MydockerError(`container ${record.id.slice(0, 12)} is in use by another command`);
    }
    // Between open and flock the file may have been removed by the one who held the lock.
    if (statFd(fd).nlink === 0) {
      close(fd);
      continue;
    }
    const ownership = new Ownership(record, fd, [path, note]);
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

/** What a dead owner may have left, and the note that it made before. */
interface Lead {
  readonly id: string;
  readonly note?: string;
}

/** Finds and locks what dead owners left behind. @param thorough tries the lock of every owner */
export function* takeOrphans(paths: Paths, thorough: boolean): Generator<Orphan> {
  for (const lead of [...deadCommands(paths), ...(thorough ? allOwners(paths) : [])]) {
    const { id, note } = lead;
    const path = fileOf(paths, id);
    const fd = ifExists(() => open(path, O.O_RDWR));
    if (fd === undefined || !tryLock(fd) || statFd(fd).nlink === 0) {
      if (fd !== undefined) close(fd);
      // Nothing was left, or others own the container by now, with a note of their own.
      if (note !== undefined) unlinkIfExists(note);
      continue;
    }
    const record = parseRecord(readFile(path));
    const files = note === undefined ? [path] : [path, note];
    const ownership = new Ownership(record ?? { id, remove: false, cgroup: "" }, fd, files);
    yield { id, record, ownership };
  }
}

/** Leads from the notes of commands whose process is gone. */
function deadCommands(paths: Paths): Lead[] {
  const directory = commandsIn(paths);
  const leads: Lead[] = [];
  for (const entry of ifExists(() => readDirectoryEntries(directory)) ?? []) {
    if (processExists(leadingNumber(entry.bytes))) continue;
    const { name } = entry;
    leads.push({ id: name.slice(name.indexOf(".") + 1), note: `${directory}/${name}` });
  }
  return leads;
}

function allOwners(paths: Paths): Lead[] {
  return (ifExists(() => readDirectoryEntries(ownersIn(paths))) ?? []).map(({ name }) => ({
    id: name,
  }));
}

/** The number that a name starts with; not worth a string when the process lives. */
function leadingNumber(name: Uint8Array): number {
  let number = 0;
  for (const byte of name) {
    if (byte < 0x30 || byte > 0x39) break;
    number = number * 10 + byte - 0x30;
  }
  return number;
}
