/** Files and directories by name: stat, mkdir, mknod, links, ownership, reading and replacing whole files. */
import { cString, decodeBytes, encodeBytes } from "../ffi/bytes.ts";
import { check, checkUnless, isErrno } from "../ffi/call.ts";
import { libc } from "../ffi/libc.ts";
import { defineStruct } from "../ffi/struct.ts";
import {
  AT_EMPTY_PATH,
  AT_FDCWD,
  AT_REMOVEDIR,
  AT_SYMLINK_NOFOLLOW,
  close,
  fdPath,
  O,
  open,
  openat,
  read,
} from "./fd.ts";
import { SYS } from "./syscall_numbers.ts";

// sys/stat.h
export const S_IFMT = 0o170000;
export const S_IFIFO = 0o010000;
export const S_IFSOCK = 0o140000;
export const S_IFCHR = 0o020000;
export const S_IFDIR = 0o040000;
export const S_IFBLK = 0o060000;
export const S_IFREG = 0o100000;
export const S_IFLNK = 0o120000;

const statxBuffer = defineStruct({
  mask: "u32",
  blksize: "u32",
  attributes: "u64",
  nlink: "u32",
  uid: "u32",
  gid: "u32",
  mode: "u16",
  pad: "u16",
  ino: "u64",
  size: "u64",
  blocks: "u64",
  attributesMask: "u64",
  atime: "i64",
  atimeNsec: "u32",
  atimePad: "i32",
  btime: "i64",
  btimeNsec: "u32",
  btimePad: "i32",
  ctime: "i64",
  ctimeNsec: "u32",
  ctimePad: "i32",
  mtime: "i64",
  mtimeNsec: "u32",
  mtimePad: "i32",
  rdevMajor: "u32",
  rdevMinor: "u32",
  devMajor: "u32",
  devMinor: "u32",
  rest: { bytes: 112 },
});

/** What statx(2) says of a file. */
export interface Stat {
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly ino: number;
  /** bytes */
  readonly size: number;
  /** 512-byte units */
  readonly blocks: number;
  readonly nlink: number;
  readonly rdevMajor: number;
  readonly rdevMinor: number;
  /** of the file system that it is on */
  readonly devMajor: number;
  readonly devMinor: number;
  /** seconds since 1970 */
  readonly mtime: number;
  /** nanoseconds of the second */
  readonly mtimeNsec: number;
  /** It is what a mount shows at its top. */
  readonly isMountRoot: boolean;
}

/** The kernel's answer; a figure is decoded when it is asked for, since hardly anybody wants all. */
class StatView implements Stat {
  constructor(readonly buffer: Uint8Array) {}
  get mode(): number {
    return statxBuffer.get(this.buffer, "mode");
  }
  get uid(): number {
    return statxBuffer.get(this.buffer, "uid");
  }
  get gid(): number {
    return statxBuffer.get(this.buffer, "gid");
  }
  get ino(): number {
    return statxBuffer.get(this.buffer, "ino");
  }
  get size(): number {
    return statxBuffer.get(this.buffer, "size");
  }
  get blocks(): number {
    return statxBuffer.get(this.buffer, "blocks");
  }
  get nlink(): number {
    return statxBuffer.get(this.buffer, "nlink");
  }
  get rdevMajor(): number {
    return statxBuffer.get(this.buffer, "rdevMajor");
  }
  get rdevMinor(): number {
    return statxBuffer.get(this.buffer, "rdevMinor");
  }
  get devMajor(): number {
    return statxBuffer.get(this.buffer, "devMajor");
  }
  get devMinor(): number {
    return statxBuffer.get(this.buffer, "devMinor");
  }
  get mtime(): number {
    return statxBuffer.get(this.buffer, "mtime");
  }
  get mtimeNsec(): number {
    return statxBuffer.get(this.buffer, "mtimeNsec");
  }
  get isMountRoot(): boolean {
    return (statxBuffer.get(this.buffer, "attributes") & STATX_ATTR_MOUNT_ROOT) !== 0;
  }
}

const STATX_BASIC_STATS = 0x7ff;
const STATX_ATTR_MOUNT_ROOT = 0x2000;

/** statx(2) on `path` below `dirfd`. */
export function statAt(dirfd: number, path: string, flags = 0): Stat {
  const buffer = statxBuffer.alloc();
  const bytes = cString(path);
  check("statx", () => ({ path }), libc.statx(dirfd, bytes, flags, STATX_BASIC_STATS, buffer));
  return new StatView(buffer);
}

/** access(2) with X_OK. @throws {SysError} when this process may not execute the file */
export function accessExecutable(path: string): void {
  const X_OK = 1;
  check("access", { path, mode: X_OK }, libc.access(cString(path), X_OK));
}

/** {@link statAt} for what may not be there: undefined then (ENOENT, ENOTDIR). */
export function statIfExists(path: string, dirfd: number = AT_FDCWD, flags = 0): Stat | undefined {
  const buffer = statxBuffer.alloc();
  const bytes = cString(path);
  const result = checkUnless(
    "statx",
    ["ENOENT", "ENOTDIR"],
    () => ({ path }),
    libc.statx(dirfd, bytes, flags, STATX_BASIC_STATS, buffer),
  );
  return result === undefined ? undefined : new StatView(buffer);
}

/** statx(2) of a path, through symbolic links. */
export const stat = (path: string): Stat => statAt(AT_FDCWD, path);
/** statx(2) on what a descriptor names. */
export const statFd = (fd: number): Stat => statAt(fd, "", AT_EMPTY_PATH);
/** statx(2) of a path, of a symbolic link itself. */
export const lstat = (path: string): Stat => statAt(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW);

/** Runs a call that may find nothing: its value, or undefined for ENOENT and ENOTDIR. */
export function ifExists<T>(call: () => T): T | undefined {
  try {
    return call();
  } catch (error) {
    if (isErrno(error, "ENOENT", "ENOTDIR")) return undefined;
    throw error;
  }
}

/** mkdir(2). */
export function mkdir(path: string, mode = 0o777, dirfd: number = AT_FDCWD): void {
  check("mkdir", () => ({ path }), libc.mkdirat(dirfd, cString(path), mode));
}

/** mkdir(2). @returns false when something has that name already */
export function mkdirIfMissing(path: string, mode = 0o777, dirfd: number = AT_FDCWD): boolean {
  const bytes = cString(path);
  const made = checkUnless("mkdir", ["EEXIST"], () => ({ path }), libc.mkdirat(dirfd, bytes, mode));
  return made !== undefined;
}

/** Makes a directory and its missing parents, for paths of our own state (trusted, on the host). */
export function makeDirectories(path: string, mode = 0o700): void {
  try {
    mkdir(path, mode);
    return;
  } catch (error) {
    if (isErrno(error, "EEXIST")) return;
    const parent = path.slice(0, path.lastIndexOf("/"));
    if (!isErrno(error, "ENOENT") || parent === "") throw error;
    makeDirectories(parent, mode);
  }
  mkdirIfMissing(path, mode);
}

/** mknod(2). */
export function mknod(
  dirfd: number,
  path: string,
  mode: number,
  major: number,
  minor: number,
): void {
  // makedev(3): the low 8 bits of minor, 12 bits of major, the high bits of minor.
  const device = (minor & 0xff) | ((major & 0xfff) << 8) | ((minor & ~0xff) << 12);
  check(
    "mknod",
    () => ({ path, device: `${major}:${minor}` }),
    libc.mknodat(dirfd, cString(path), mode, device >>> 0),
  );
}

/** symlink(2). */
export function symlink(target: string, path: string, dirfd: number = AT_FDCWD): void {
  check(
    "symlink",
    () => ({ path, to: target }),
    libc.symlinkat(cString(target), dirfd, cString(path)),
  );
}

/** link(2). */
export function link(fromDir: number, from: string, toDir: number, to: string): void {
  check("link", { source: from, to }, libc.linkat(fromDir, cString(from), toDir, cString(to), 0));
}

/** unlink(2). */
export function unlink(path: string, dirfd: number = AT_FDCWD): void {
  check("unlink", () => ({ path }), libc.unlinkat(dirfd, cString(path), 0));
}

/** unlink(2) of what may not be there. */
export function unlinkIfExists(path: string, dirfd: number = AT_FDCWD): void {
  const bytes = cString(path);
  checkUnless("unlink", ["ENOENT", "ENOTDIR"], () => ({ path }), libc.unlinkat(dirfd, bytes, 0));
}

/** rmdir(2) of what may not be there. @returns false when it is not empty, or busy */
export function rmdirIfEmpty(path: string, dirfd: number = AT_FDCWD): boolean {
  const bytes = cString(path);
  try {
    checkUnless(
      "rmdir",
      ["ENOENT", "ENOTDIR"],
      () => ({ path }),
      libc.unlinkat(dirfd, bytes, AT_REMOVEDIR),
    );
    return true;
  } catch (error) {
    if (!isErrno(error, "ENOTEMPTY", "EEXIST", "EBUSY")) throw error;
    return false;
  }
}

/** rmdir(2). */
export function rmdir(path: string, dirfd: number = AT_FDCWD): void {
  check("rmdir", () => ({ path }), libc.unlinkat(dirfd, cString(path), AT_REMOVEDIR));
}

/** rename(2). */
export function rename(from: string, to: string): void {
  check(
    "rename",
    () => ({ source: from, to }),
    libc.renameat(AT_FDCWD, cString(from), AT_FDCWD, cString(to)),
  );
}

/** readlink(2) of what may be no link, or not there: undefined then. */
export function readlinkIfLink(path: string, dirfd: number = AT_FDCWD): string | undefined {
  const buffer = new Uint8Array(4096);
  const bytes = cString(path);
  const length = checkUnless(
    "readlink",
    ["EINVAL", "ENOENT"],
    () => ({ path }),
    libc.readlinkat(dirfd, bytes, buffer, buffer.length),
  );
  return length === undefined ? undefined : decodeBytes(buffer.subarray(0, length));
}

/** readlink(2). @returns the link's target, at most 4095 bytes */
export function readlink(path: string, dirfd: number = AT_FDCWD): string {
  const buffer = new Uint8Array(4096);
  const length = check(
    "readlink",
    () => ({ path }),
    libc.readlinkat(dirfd, cString(path), buffer, buffer.length),
  );
  return decodeBytes(buffer.subarray(0, length));
}

/** chown without following links; with an empty path and AT_EMPTY_PATH, of the descriptor itself. */
export function chownAt(
  dirfd: number,
  path: string,
  uid: number,
  gid: number,
  flags: number = AT_SYMLINK_NOFOLLOW,
): void {
  check("chown", () => ({ path, uid, gid }), libc.fchownat(dirfd, cString(path), uid, gid, flags));
}

/** The same place without symbolic links, as the kernel resolves it. */
export function realPath(path: string): string {
  const fd = open(path, O.O_PATH);
  try {
    return readlink(fdPath(fd));
  } finally {
    close(fd);
  }
}

/** chdir(2). */
export function chdir(path: string): void {
  check("chdir", () => ({ path }), libc.chdir(cString(path)));
}

/** fchdir(2). */
export function fchdir(fd: number): void {
  check("fchdir", () => ({ fd }), libc.fchdir(fd));
}

/** chroot(2). */
export function chroot(path: string): void {
  check("chroot", () => ({ path }), libc.chroot(cString(path)));
}

/** getcwd(2) as the kernel says it: a directory outside the root starts with "(unreachable)". */
export function getcwd(): string {
  const buffer = new Uint8Array(4097);
  const length = check("getcwd", () => ({}), libc.getcwd(SYS.getcwd, buffer, buffer.length));
  return decodeBytes(buffer.subarray(0, length - 1));
}

/** Reads from a descriptor to its end, at most `limit` bytes. */
export function readToEnd(fd: number, limit = 1 << 30): Uint8Array {
  let buffer = new Uint8Array(4096); // more than most files of procfs have
  let length = 0;
  for (;;) {
    if (length === buffer.length) {
      const larger = new Uint8Array(buffer.length * 4);
      larger.set(buffer);
      buffer = larger;
    }
    const count = read(fd, buffer.subarray(length));
    if (count === 0 || length >= limit) return buffer.subarray(0, length);
    length += count;
  }
}

/** A whole file's bytes. */
export function readFileBytes(path: string, dirfd: number = AT_FDCWD): Uint8Array {
  const fd = openat(dirfd, path, O.O_RDONLY);
  try {
    return readToEnd(fd);
  } finally {
    close(fd);
  }
}

/** A whole file as a byte string. */
export function readFile(path: string): string {
  return decodeBytes(readFileBytes(path));
}

/** Writes `text` to an existing file in one write(2), as cgroup and proc files want it. */
export function writeControl(path: string, text: string): void {
  const fd = open(path, O.O_WRONLY);
  try {
    const bytes = encodeBytes(text);
    check(
      "write",
      () => ({ source: JSON.stringify(text.trimEnd()), to: path }),
      libc.write(fd, bytes, bytes.length),
    );
  } finally {
    close(fd);
  }
}
