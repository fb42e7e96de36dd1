/**
 * Who works on a container: the process that holds its lock.
 *
 * Whoever makes, runs or removes a container owns it meanwhile: it locks a byte of `<run>/lock`,
 * and then makes `<run>/owners/<id>`, before anything else of the container's. That file is removed
 * last, and then the lock is given back. The kernel does so when the holder dies, whatever killed it
 * and whether or not its parent has waited for it. (These are record locks, which unlike those of
 * flock(2) are not held on by a child that was forked and hangs.) So an owner's file whose byte
 * nobody has locked means that work was left half done: the next command finds it and finishes it
 * (recovery.ts). To ask for one costs one system call, since all locks are in one file.
 */

import { MydockerError } from "../errors.ts";
import { encodeBytes } from "../ffi/bytes.ts";
import { isErrno, SysError } from "../ffi/call.ts";
import { errnoText } from "../ffi/errno.ts";
import { type DirectoryEntry, readDirectoryEntries } from "../linux/directory.ts";
import { close, ftruncate, O, open, pwrite } from "../linux/fd.ts";
import { ifExists, readFile, statFd, unlinkIfExists } from "../linux/file.ts";
import { fchmod } from "../linux/file_metadata.ts";
import { getpid } from "../linux/process.ts";
import type { ProcessIdentity } from "../linux/process_identity.ts";
import { byteLockHolder, lockByte, unlockByte } from "../linux/record_lock.ts";
import type { Paths } from "../paths.ts";
import type { ExitRecord } from "./container_record.ts";

/** What an owner says of its work, for others to read. */
export interface OwnerRecord {
  readonly id: string;
  /** The container is to be gone when the work is over, also when it is left half done. */
  readonly remove: boolean;
  /** It is being removed with its own volumes. */
  readonly volumes?: boolean;
  /** path of its cgroup in every hierarchy */
  readonly cgroup: string;
  /** Its own pid: a holder of the lock with another one cleans up behind it. */
  readonly owner?: number;
  /** The first process, before it runs the command. */
  readonly init?: ProcessIdentity;
  /** The first process, once it runs the command. */
  readonly process?: ProcessIdentity & {
    /** RFC 3339 */
    readonly startedAt: string;
  };
  /** How it ended last: it is about to be started again, by its restart policy. */
  readonly restarting?: ExitRecord;
  /** how often it was started again since somebody started it; absent for never */
  readonly restartCount?: number;
}

const ownersIn = (paths: Paths): string => `${paths.run}/owners`;
const fileOf = (paths: Paths, id: string): string => `${ownersIn(paths)}/${id}`;

/** As many digits of an id as are shown; two bytes for each id are still exact in a number. */
const DIGITS = 12;
/** The byte whose lock makes an owner. */
const ownerByte = (id: string): number => Number.parseInt(id.slice(0, DIGITS), 16) * 2;
/** The byte whose lock makes the one that removes it. */
const removerByte = (id: string): number => ownerByte(id) + 1;

/**
 * The permissions of a removing owner's file. One that is empty and has others is of an owner that was
 * killed before it could say anything, and so before it did anything: its container may be years old.
 */
const REMOVING = 0o400;

/** How often it is tried to read what an owner may be just writing. */
const ATTEMPTS = 3;

const lockFiles = new Map<string, number>();

/**
 * The file with all locks. A process opens it once and never closes it: to close any descriptor of
 * it would give up all locks (fcntl_locking(2)).
 */
function lockFile(paths: Paths): number {
  const path = `${paths.run}/lock`;
  const known = lockFiles.get(path);
  if (known !== undefined) return known;
  const fd = open(path, O.O_RDWR | O.O_CREAT, 0o600);
  lockFiles.set(path, fd);
  return fd;
}

/** A lock that is held. The end of the process releases it. */
export class Ownership {
  #record: OwnerRecord;
  #length = 0;

  constructor(
    record: OwnerRecord,
    private readonly paths: Paths,
    /** Of its file; absent when the file system has no room for one. */
    private readonly fd: number | undefined,
  ) {
    this.#record = record;
  }

  /** What the owner says. */
  get record(): OwnerRecord {
    return this.#record;
  }

  /** Replaces what the owner says. */
  update(record: OwnerRecord): void {
    this.#record = record;
    if (this.fd === undefined) return;
    // In one call, and never shorter than before: nobody reads the end of what was there.
    const text = encodeBytes(JSON.stringify(record));
    const bytes = new Uint8Array(Math.max(text.length, this.#length)).fill(0x20);
    bytes.set(text);
    try {
      pwrite(this.fd, bytes, 0);
      if (this.#length === 0) ftruncate(this.fd, bytes.length); // of a dead owner's
      this.#length = bytes.length;
    } catch (cause) {
      if (!(cause instanceof SysError)) throw cause;
      const why = `${cause.code}: ${errnoText(cause.errno)}`;
      const path = fileOf(this.paths, this.record.id);
      throw new MydockerError(`cannot write ${path}: ${why}`, { exitCode: 125, cause });
    }
  }

  /** The work is over: nothing is left to be finished by anybody. */
  release(): void {
    unlinkIfExists(fileOf(this.paths, this.record.id));
    this.abandon();
  }

  /** Somebody else is to finish the work. */
  abandon(): void {
    if (this.fd !== undefined) close(this.fd);
    unlockByte(lockFile(this.paths), ownerByte(this.record.id));
  }
}

/**
 * Becomes the owner of a container, to make or to run it.
 * @throws {MydockerError} when another process is
 */
export function claim(paths: Paths, said: OwnerRecord): Ownership {
  const record = { ...said, owner: getpid() };
  const { id } = record;
  const [locks, at] = [lockFile(paths), ownerByte(id)];
  if (!lockByte(locks, at)) {
    throw new MydockerError(`container ${id.slice(0, 12)} is in use by another command`);
  }
  let ownership: Ownership | undefined;
  try {
    const fd = open(fileOf(paths, id), O.O_RDWR | O.O_CREAT, 0o600);
    ownership = new Ownership(record, paths, fd);
    ownership.update(record);
    return ownership;
  } catch (error) {
    if (ownership === undefined) unlockByte(locks, at);
    else ownership.release();
    throw error;
  }
}

/**
 * Becomes the owner of a container, to remove it. That takes no room on the disk: a file that is
 * empty and {@link REMOVING} says enough. Where there is not even room for its name, nobody would finish what we leave
 * half done; but there soon is, since we remove things.
 * @returns undefined when another process is
 */
export function claimToRemove(paths: Paths, id: string, cgroup: string): Ownership | undefined {
  const [locks, at] = [lockFile(paths), ownerByte(id)];
  if (!lockByte(locks, at)) return undefined;
  let fd: number | undefined;
  try {
    fd = open(fileOf(paths, id), O.O_RDWR | O.O_CREAT, 0o600);
    fchmod(fd, REMOVING);
    ftruncate(fd, 0);
  } catch (error) {
    if (!isErrno(error, "ENOSPC", "EDQUOT")) {
      unlockByte(locks, at);
      throw error;
    }
  }
  return new Ownership({ id, remove: true, cgroup }, paths, fd);
}

/**
 * Becomes the owner without telling anybody who comes after us, should we be killed: for work that
 * is found by other means.
 * @returns undefined when another process is
 */
export function claimSilently(paths: Paths, id: string, cgroup: string): Ownership | undefined {
  if (!lockByte(lockFile(paths), ownerByte(id))) return undefined;
  return new Ownership({ id, remove: false, cgroup }, paths, undefined);
}

/** The right to remove a container, whoever owns it: there is one such process at most. */
export function claimRemoval(paths: Paths, id: string): Disposable | undefined {
  const [locks, at] = [lockFile(paths), removerByte(id)];
  return lockByte(locks, at) ? { [Symbol.dispose]: () => unlockByte(locks, at) } : undefined;
}

/** How long whoever changes or removes a container may take for it, in milliseconds. */
const PATIENCE = 10_000;

/**
 * The same right, for who changes it: of several, one after the other.
 * @throws {MydockerError} when somebody has it for long
 */
export function awaitRemoval(paths: Paths, id: string): Disposable {
  for (const deadline = Date.now() + PATIENCE; ; Bun.sleepSync(1)) {
    const right = claimRemoval(paths, id);
    if (right !== undefined) return right;
    if (Date.now() < deadline) continue;
    throw new MydockerError(`container ${id.slice(0, 12)} is being changed or removed`);
  }
}

/** The pid of a container's living owner; undefined when it has none, or it is this process. */
export function ownerOf(paths: Paths, id: string): number | undefined {
  return byteLockHolder(lockFile(paths), ownerByte(id));
}

/** The ids of all containers that have an owner, living or not. */
export function ownedIds(paths: Paths): ReadonlySet<string> {
  return new Set(ownerFiles(paths).map(({ name }) => name));
}

/** What the living owner of a container says; undefined when it has none. */
export function readOwner(paths: Paths, id: string): OwnerRecord | undefined {
  for (let attempt = 1; ownerOf(paths, id) !== undefined; attempt++) {
    const record = readOwnerFile(paths, id);
    // It may be just writing.
    if (record !== undefined || attempt === ATTEMPTS) return record;
  }
  return undefined;
}

/** What the last owner of a container says, living or not. */
export function readOwnerFile(paths: Paths, id: string): OwnerRecord | undefined {
  const text = ifExists(() => readFile(fileOf(paths, id)));
  try {
    return text === undefined ? undefined : (JSON.parse(text) as OwnerRecord);
  } catch {
    return undefined; // killed between creating the file and writing it
  }
}

/** Work that a dead owner left: locked by us now. */
export interface Orphan {
  readonly id: string;
  /** undefined when it died before it said anything, or was removing the container */
  readonly record: OwnerRecord | undefined;
  readonly isRemoval: boolean;
  readonly ownership: Ownership;
}

/** Finds and locks what dead owners left behind. */
export function* takeOrphans(paths: Paths): Generator<Orphan> {
  for (const entry of ownerFiles(paths)) {
    const locks = lockFile(paths);
    const at = byteOf(entry.bytes);
    if (at === undefined || byteLockHolder(locks, at) !== undefined) continue;
    if (!lockByte(locks, at)) continue;
    const { name } = entry;
    const fd = ifExists(() => open(fileOf(paths, name), O.O_RDWR));
    if (fd === undefined) {
      unlockByte(locks, at); // it has just been released, or another command has finished it
      continue;
    }
    const record = readOwnerFile(paths, name);
    const said = record ?? { id: name, remove: false, cgroup: "" };
    const isRemoval = record === undefined && (statFd(fd).mode & 0o777) === REMOVING;
    yield { id: name, record, isRemoval, ownership: new Ownership(said, paths, fd) };
  }
}

const ownerFiles = (paths: Paths): readonly DirectoryEntry[] =>
  ifExists(() => readDirectoryEntries(ownersIn(paths))) ?? [];

/** {@link ownerByte} of a name that is not worth a string when its owner lives; undefined for none of ours. */
function byteOf(name: Uint8Array): number | undefined {
  if (name.length !== 64) return undefined;
  let number = 0;
  for (let at = 0; at < DIGITS; at++) {
    const code = name[at] as number;
    // 0–9 and a–f
    const digit = code >= 0x61 ? code - 0x57 : code - 0x30;
    if (digit < 0 || digit > 15) return undefined;
    number = number * 16 + digit;
  }
  return number * 2;
}
