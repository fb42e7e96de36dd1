/** Whole directories: reading them, and removing trees (getdents64(2)). */
import { cString, decodeBytes } from "../ffi/bytes.ts";
import { check, isErrno } from "../ffi/call.ts";
import { libc } from "../ffi/libc.ts";
import { AT_FDCWD, AT_SYMLINK_NOFOLLOW, close, O, openat } from "./fd.ts";
import { ifExists, rmdir, S_IFDIR, S_IFMT, statAt, unlink } from "./file.ts";
import { SYS } from "./syscall_numbers.ts";

/** Names in a directory, without "." and ".."; unsorted. */
export function readDirectory(path: string, dirfd: number = AT_FDCWD): string[] {
  return readDirectoryEntries(path, dirfd).map(({ name }) => name);
}

/** What getdents64(2) says of a directory's entry. */
export interface DirectoryEntry {
  /** decoded when it is asked for */
  readonly name: string;
  readonly bytes: Uint8Array;
  /** inode number, exact to 2^53 */
  readonly ino: number;
}

/** An entry in the kernel's own form; its name is decoded when it is asked for. */
class RawEntry implements DirectoryEntry {
  constructor(
    readonly ino: number,
    readonly bytes: Uint8Array,
  ) {}

  get name(): string {
    return decodeBytes(this.bytes);
  }
}

/** Entries of a directory, without "." and ".."; unsorted. */
export function readDirectoryEntries(path: string, dirfd: number = AT_FDCWD): DirectoryEntry[] {
  const fd = openat(dirfd, path, O.O_RDONLY | O.O_DIRECTORY);
  try {
    const entries: DirectoryEntry[] = [];
    for (;;) {
      const buffer = new Uint8Array(32768); // the entries refer to it
      const length = check(
        "getdents64",
        () => ({ path }),
        libc.getdents64(SYS.getdents64, fd, buffer, buffer.length),
      );
      if (length === 0) return entries;
      const view = new DataView(buffer.buffer);
      // struct linux_dirent64 { u64 ino; s64 off; u16 reclen; u8 type; char name[]; }
      for (let at = 0; at < length; at += view.getUint16(at + 16, true)) {
        const name = at + 19;
        const end = buffer.indexOf(0, name);
        if (isDots(buffer, name, end)) continue;
        const ino = view.getUint32(at, true) + view.getUint32(at + 4, true) * 2 ** 32;
        entries.push(new RawEntry(ino, buffer.subarray(name, end)));
      }
    }
  } finally {
    close(fd);
  }
}

/** Whether the name from `start` to `end` is "." or "..". */
function isDots(buffer: Uint8Array, start: number, end: number): boolean {
  const DOT = 0x2e;
  if (buffer[start] !== DOT || end - start > 2) return false;
  return end - start === 1 || buffer[start + 1] === DOT;
}

/** Levels that are descended at once: each holds a descriptor, and a container may nest without end. */
const DESCENT_LIMIT = 64;

/** Removes a tree without leaving it: never through symbolic links, never across into another name. Missing is fine. */
export function removeTree(path: string, dirfd: number = AT_FDCWD): void {
  if (removeFile(path, dirfd)) return;
  const top = openat(dirfd, path, O.O_RDONLY | O.O_DIRECTORY | O.O_NOFOLLOW);
  try {
    // What lies too deep has been moved up here, to be removed in the next round.
    while (clearDirectory(top, top, DESCENT_LIMIT));
  } finally {
    close(top);
  }
  ifExists(() => rmdir(path, dirfd));
}

/** @returns whether the name is gone; false for a directory */
function removeFile(name: string, dirfd: number): boolean {
  try {
    unlink(name, dirfd);
    return true;
  } catch (error) {
    if (isErrno(error, "ENOENT")) return true;
    if (isErrno(error, "EISDIR")) return false;
    // Of an immutable directory, too (ioctl_iflags(2)), but then it is not the file that is at fault.
    const isDirectory = () => (statAt(dirfd, name, AT_SYMLINK_NOFOLLOW).mode & S_IFMT) === S_IFDIR;
    if (isErrno(error, "EPERM") && isDirectory()) return false;
    throw error;
  }
}

/** Removes what is in a directory, down to `levels`. @returns whether something was moved to `top` */
function clearDirectory(fd: number, top: number, levels: number): boolean {
  let moved = false;
  for (const name of readDirectory(".", fd)) {
    if (removeFile(name, fd)) continue;
    if (levels === 0) {
      const to = crypto.randomUUID();
      check(
        "rename",
        () => ({ source: name, to }),
        libc.renameat(fd, cString(name), top, cString(to)),
      );
      moved = true;
      continue;
    }
    const inner = openat(fd, name, O.O_RDONLY | O.O_DIRECTORY | O.O_NOFOLLOW);
    try {
      if (clearDirectory(inner, top, levels - 1)) moved = true;
    } finally {
      close(inner);
    }
    ifExists(() => rmdir(name, fd));
  }
  return moved;
}
