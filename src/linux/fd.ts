/** File descriptors: open(2), openat2(2), read(2), write(2), pipe(2), poll(2), flock(2). Constants from fcntl.h, poll.h. */
import { cString } from "../ffi/bytes.ts";
import { check, checkUnless, Flags, isErrno, retryInterrupted } from "../ffi/call.ts";
import type { ErrnoCode } from "../ffi/errno.ts";
import { libc } from "../ffi/libc.ts";
import { defineStruct } from "../ffi/struct.ts";
import { SYS } from "./syscall_numbers.ts";

const arm = process.arch === "arm64";

export const AT_FDCWD = -100;
export const AT_SYMLINK_NOFOLLOW = 0x100;
export const AT_REMOVEDIR = 0x200;
export const AT_SYMLINK_FOLLOW = 0x400;
export const AT_EMPTY_PATH = 0x1000;
export const AT_STATX_DONT_SYNC = 0x4000;
export const AT_RECURSIVE = 0x8000;

export const O = {
  O_RDONLY: 0,
  O_WRONLY: 1,
  O_RDWR: 2,
  O_CREAT: 0o100,
  O_EXCL: 0o200,
  O_NOCTTY: 0o400,
  O_TRUNC: 0o1000,
  O_APPEND: 0o2000,
  O_NONBLOCK: 0o4000,
  O_DIRECTORY: arm ? 0o40000 : 0o200000,
  O_NOFOLLOW: arm ? 0o100000 : 0o400000,
  O_CLOEXEC: 0o2000000,
  O_PATH: 0o10000000,
  /** With O_DIRECTORY's bit, as the kernel has it. */
  O_TMPFILE: arm ? 0o20040000 : 0o20200000,
} as const;

export const RESOLVE = {
  RESOLVE_NO_XDEV: 1,
  RESOLVE_NO_MAGICLINKS: 2,
  RESOLVE_NO_SYMLINKS: 4,
  RESOLVE_BENEATH: 8,
  RESOLVE_IN_ROOT: 16,
} as const;

export const POLLIN = 1;
export const POLLPRI = 2;
export const POLLOUT = 4;
export const POLLERR = 8;
export const POLLHUP = 16;

export const LOCK_SH = 1;
export const LOCK_EX = 2;
export const LOCK_NB = 4;

/** openat(2), always close-on-exec. @returns a descriptor */
export function openat(dirfd: number, path: string, flags: number, mode = 0): number {
  const bytes = cString(path);
  const args = () => ({
    path,
    dirfd: dirfd === AT_FDCWD ? undefined : dirfd,
    flags: new Flags(O, flags),
  });
  return retryInterrupted(() =>
    check("open", args, libc.openat(dirfd, bytes, flags | O.O_CLOEXEC, mode)),
  );
}

/** open(2), always close-on-exec. @returns a descriptor */
export function open(path: string, flags: number, mode = 0): number {
  return openat(AT_FDCWD, path, flags, mode);
}

const openHow = defineStruct({ flags: "u64", mode: "u64", resolve: "u64" });

/** openat2(2), always close-on-exec: resolves `path` under the rules of `resolve`. @returns a descriptor */
export function openat2(
  dirfd: number,
  path: string,
  flags: number,
  resolve: number,
  mode = 0,
): number {
  return resolvePath(dirfd, path, flags, resolve, mode, []) as number;
}

/** {@link openat2} for what may not be there: undefined then (ENOENT, ENOTDIR). */
export function openat2IfExists(
  dirfd: number,
  path: string,
  flags: number,
  resolve: number,
): number | undefined {
  return resolvePath(dirfd, path, flags, resolve, 0, ["ENOENT", "ENOTDIR"]);
}

/** How often a path is walked anew because something was renamed meanwhile. */
const WALKS = 64;

function resolvePath(
  dirfd: number,
  path: string,
  flags: number,
  resolve: number,
  mode: number,
  expected: readonly ErrnoCode[],
): number | undefined {
  const how = openHow.alloc();
  openHow.set(how, "flags", flags | O.O_CLOEXEC);
  openHow.set(how, "mode", mode);
  openHow.set(how, "resolve", resolve);
  const bytes = cString(path);
  const args = () => ({
    path,
    dirfd,
    flags: new Flags(O, flags),
    resolve: String(new Flags(RESOLVE, resolve)),
  });
  for (let walk = 1; ; walk++) {
    try {
      return checkUnless(
        "openat2",
        expected,
        args,
        libc.openat2(SYS.openat2, dirfd, bytes, how, openHow.size),
      );
    } catch (error) {
      // EAGAIN: something was renamed while the path was walked (openat2(2)).
      if (walk === WALKS || !isErrno(error, "EAGAIN", "EINTR")) throw error;
    }
  }
}

/** The path by which a call that takes no descriptor reaches what `fd` names. */
export const fdPath = (fd: number): string => `/proc/self/fd/${fd}`;

/** close(2). Never repeated: after EINTR the descriptor is gone on Linux. */
export function close(fd: number): void {
  check("close", () => ({ fd }), libc.close(fd));
}

/** close_range(2) over every descriptor from `first` up. */
export function closeFrom(first: number): void {
  check(
    "close_range",
    () => ({ fd: first }),
    libc.close_range(SYS.close_range, first, 0xffffffff, 0),
  );
}

/** close_range(2), CLOSE_RANGE_CLOEXEC: execve(2) closes every descriptor from `first` up. */
export function closeOnExecFrom(first: number): void {
  const CLOSE_RANGE_CLOEXEC = 4;
  check(
    "close_range",
    () => ({ fd: first, flags: "CLOSE_RANGE_CLOEXEC" }),
    libc.close_range(SYS.close_range, first, 0xffffffff, CLOSE_RANGE_CLOEXEC),
  );
}

/** read(2). @returns the count of bytes, 0 at the end */
export function read(fd: number, buffer: Uint8Array): number {
  return retryInterrupted(() =>
    check("read", () => ({ fd }), libc.read(fd, buffer, buffer.length)),
  );
}

/**
 * write(2).
 * @param path what an error calls the file, instead of by the descriptor's number
 * @returns the count of bytes that were taken
 */
export function write(fd: number, buffer: Uint8Array, path?: string): number {
  return retryInterrupted(() =>
    check(
      "write",
      () => (path === undefined ? { fd } : { path }),
      libc.write(fd, buffer, buffer.length),
    ),
  );
}

/** pread(2). @returns the count of bytes, 0 at the end */
export function pread(fd: number, buffer: Uint8Array, offset: number): number {
  return retryInterrupted(() =>
    check("pread", () => ({ fd, offset }), libc.pread(fd, buffer, buffer.length, offset)),
  );
}

/** pwrite(2). @param path see {@link write} @returns the count of bytes that were taken */
export function pwrite(fd: number, buffer: Uint8Array, offset: number, path?: string): number {
  return retryInterrupted(() =>
    check(
      "pwrite",
      () => (path === undefined ? { fd, offset } : { path, offset }),
      libc.pwrite(fd, buffer, buffer.length, offset),
    ),
  );
}

/** Writes all of `bytes` to a blocking descriptor. @param path see {@link write} */
export function writeAll(fd: number, bytes: Uint8Array, path?: string): void {
  for (let at = 0; at < bytes.length; ) at += write(fd, bytes.subarray(at), path);
}

/** memfd_create(2): a file in memory, close-on-exec. @returns a descriptor */
export function memfdCreate(
  name: string,
  { executable = false }: { executable?: boolean } = {},
): number {
  const [MFD_CLOEXEC, MFD_EXEC] = [1, 0x10];
  const args = { name };
  if (executable) {
    const flags = MFD_CLOEXEC | MFD_EXEC;
    const fd = checkUnless(
      "memfd_create",
      ["EINVAL"],
      args,
      libc.memfd_create(cString(name), flags),
    );
    if (fd !== undefined) return fd; // before Linux 6.3 every one is, and the flag is unknown
  }
  return check("memfd_create", args, libc.memfd_create(cString(name), MFD_CLOEXEC));
}

/** eventfd(2), close-on-exec: readable as 8 bytes once it was written to. @returns a descriptor */
export function eventfd(): number {
  return check("eventfd", () => ({}), libc.eventfd(0, O.O_CLOEXEC | O.O_NONBLOCK));
}

/** pipe2(2), close-on-exec. @returns [read end, write end] */
export function pipe(): [number, number] {
  const pair = new Int32Array(2);
  check("pipe2", () => ({}), libc.pipe2(pair, O.O_CLOEXEC));
  return [pair[0] as number, pair[1] as number];
}

/** dup3(2) without flags: `to` becomes a copy of `from` that survives execve(2). */
export function dupOnto(from: number, to: number): void {
  if (from === to) fcntl(from, F_SETFD, 0);
  else check("dup3", () => ({ fd: from, to }), libc.dup3(from, to, 0));
}

export const F_DUPFD_CLOEXEC = 1030;
export const F_SETFD = 2;
export const FD_CLOEXEC = 1;
export const F_GETFL = 3;
export const F_SETFL = 4;

/** fcntl(2). */
export function fcntl(fd: number, command: number, argument = 0): number {
  return check("fcntl", () => ({ fd, command, argument }), libc.fcntl(fd, command, argument));
}

/** flock(2). Throws EWOULDBLOCK (EAGAIN) with LOCK_NB when another holds it. */
export function flock(fd: number, operation: number): void {
  retryInterrupted(() => check("flock", () => ({ fd, operation }), libc.flock(fd, operation)));
}

/** fsync(2). */
export function fsync(fd: number): void {
  check("fsync", { fd }, libc.fsync(fd));
}

/** One descriptor of a poll(2) call; `revents` is filled in. */
export interface PollEntry {
  readonly fd: number;
  readonly events: number;
  revents: number;
}

const pollfd = defineStruct({ fd: "i32", events: "i16", revents: "i16" });

/** poll(2). @param timeout milliseconds, -1 for ever. @returns the count of ready entries; 0 after a signal or the time-out */
export function poll(entries: PollEntry[], timeout: number): number {
  const set = pollfd.alloc(Math.max(1, entries.length));
  for (const [index, entry] of entries.entries()) {
    pollfd.set(set, "fd", entry.fd, index);
    pollfd.set(set, "events", entry.events, index);
  }
  let ready: number;
  try {
    ready = check("poll", () => ({ timeout }), libc.poll(set, entries.length, timeout));
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "EINTR") ready = 0;
    else throw error;
  }
  for (const [index, entry] of entries.entries())
    entry.revents = ready === 0 ? 0 : pollfd.get(set, "revents", index);
  return ready;
}

/** lseek(2) from the start of the file. */
export function seek(fd: number, offset: number): void {
  const SEEK_SET = 0;
  check("lseek", { fd, offset }, libc.lseek(fd, offset, SEEK_SET));
}

/** Where a file's next data is, and where the hole begins behind it (lseek(2), SEEK_DATA, SEEK_HOLE). */
export function nextData(
  fd: number,
  from: number,
): { readonly start: number; readonly end: number } | undefined {
  const [SEEK_DATA, SEEK_HOLE] = [3, 4];
  const args = () => ({ fd, offset: from });
  const start = checkUnless("lseek", ["ENXIO"], args, libc.lseek(fd, from, SEEK_DATA));
  if (start === undefined) return undefined;
  return { start, end: check("lseek", args, libc.lseek(fd, start, SEEK_HOLE)) };
}

/** ftruncate(2): the file's size becomes `length` bytes; what is new is a hole. */
export function ftruncate(fd: number, length: number): void {
  check("ftruncate", { fd, length }, libc.ftruncate(fd, length));
}

/** syncfs(2): writes out everything of the file system that `fd` is on. */
export function syncfs(fd: number): void {
  check("syncfs", { fd }, libc.syncfs(fd));
}
