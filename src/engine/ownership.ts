/**
 * Who works on a container: the process that holds the lock on `<run>/owners/<id>`.
 *
 * Whoever makes, runs or removes a container owns it meanwhile. The kernel gives the lock back when
 * its holder dies, whatever killed it (a record lock, which unlike one of flock(2) is not held on by
 * a child that was forked and hangs), so an owner's file that nobody has locked means that work was
 * left half done: the next command finds it and finishes it (recovery.ts). The file is made before
 * anything else of the container's and removed last.
 *
 * To try the lock of each of a thousand running containers would take longer than to start one. So
 * there is `<run>/commands/<pid>.<id>` beside it, made before the owner's file and removed after it,
 * and asking for the process costs one system call that finds nearly all dead ones; `ps` and the
 * other commands that look at all containers try the locks themselves.
 */

import { MydockerError } from "../errors.ts";
import { decodeBytes, encodeBytes } from "../ffi/bytes.ts";
import { SysError } from "../ffi/call.ts";
import { errnoText } from "../ffi/errno.ts";
import { readDirectoryEntries } from "../linux/directory.ts";
import { close, ftruncate, isRecordLocked, lockRecord, O, open, pwrite } from "../linux/fd.ts";
import { ifExists, readToEnd, statFd, unlinkIfExists } from "../linux/file.ts";
import { getpid, processExists } from "../linux/process.ts";
import type { ProcessIdentity } from "../linux/process_identity.ts";
import type { Paths } from "../paths.ts";

/** What an owner says of its work, for others to read. */
export interface OwnerRecord {
  readonly id: string;
  /** The container is to be gone when the work is over, also when it is left half done. */
  readonly remove: boolean;
  /** path of its cgroup in every hierarchy */
  readonly cgroup: string;
  /** The first process, before it runs the command. */
  readonly init?: ProcessIdentity;
  /** The first process, once it runs the command. */
  readonly process?: ProcessIdentity & {
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
    try {
      pwrite(this.fd, bytes, 0);
      ftruncate(this.fd, bytes.length);
    } catch (cause) {
      if (!(cause instanceof SysError)) throw cause;
      const why = `${cause.code}: ${errnoText(cause.errno)}`;
      throw new MydockerError(`cannot write ${this.#files[0]}: ${why}`, { exitCode: 125, cause });
    }
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
  return take(paths, record, { wait: true });
}

/**
 * Becomes the owner of a container.
 * @throws {MydockerError} when another process is
 */
export function claim(paths: Paths, record: OwnerRecord): Ownership {
  return take(paths, record, { wait: false });
}

function take(paths: Paths, record: OwnerRecord, how: { wait: boolean }): Ownership {
  const path = fileOf(paths, record.id);
  const note = noteOf(paths, record.id);
  close(open(note, O.O_WRONLY | O.O_CREAT, 0o600));
  for (;;) {
    const fd = open(path, O.O_RDWR | O.O_CREAT, 0o600);
    if (!lockRecord(fd, how)) {
      close(fd);
      unlinkIfExists(note);
      throw new MydockerError(`container ${record.id.slice(0, 12)} is in use by another command`);
    }
    // Between opening and locking the file may have been removed by the one who held the lock.
    if (statFd(fd).nlink === 0) {
      close(fd);
      continue;
    }
    const ownership = new Ownership(record, fd, [path, note]);
    try {
      ownership.update(record);
    } catch (error) {
      ownership.release();
      throw error;
    }
    return ownership;
  }
}

/** What the living owner of a container says; undefined when it has none. */
export function readOwner(paths: Paths, id: string): OwnerRecord | undefined {
  const fd = ifExists(() => open(fileOf(paths, id), O.O_RDONLY));
  if (fd === undefined) return undefined;
  try {
    return isRecordLocked(fd) ? parseRecord(decodeBytes(readToEnd(fd))) : undefined;
  } finally {
    close(fd);
  }
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
    if (fd === undefined || !lockRecord(fd, { wait: false }) || statFd(fd).nlink === 0) {
      if (fd !== undefined) close(fd);
      // Nothing was left, or others own the container by now, with a note of their own.
      if (note !== undefined) unlinkIfExists(note);
      continue;
    }
    // By this descriptor: to close another one of the file would give up the lock.
    const record = parseRecord(decodeBytes(readToEnd(fd)));
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
