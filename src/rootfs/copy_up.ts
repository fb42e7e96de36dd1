/**
 * What lies under a mount is copied into it: `tmpcopyup` of a tmpfs, and a volume that is empty. The
 * files are an image's, so nothing is followed: every name is opened below a held directory, and
 * looked at by descriptor.
 */

import { isErrno } from "../ffi/call.ts";
import { readDirectory } from "../linux/directory.ts";
import {
  AT_SYMLINK_NOFOLLOW,
  close,
  fdPath,
  ftruncate,
  nextData,
  O,
  openat,
  pread,
  pwrite,
} from "../linux/fd.ts";
import {
  chownAt,
  link,
  mkdir,
  mknod,
  readlink,
  S_IFBLK,
  S_IFCHR,
  S_IFDIR,
  S_IFIFO,
  S_IFLNK,
  S_IFMT,
  S_IFREG,
  type Stat,
  statAt,
  statFd,
  symlink,
} from "../linux/file.ts";
import { chmodAt, setTimesAt } from "../linux/file_metadata.ts";
import { getXattr, listXattrs, setXattr } from "../linux/xattr.ts";

/** Copies what is in one directory into another one that is empty, and its own attributes. Sockets stay behind. */
export function copyTree(from: number, to: number): void {
  copyEntries(from, to);
  copyAttributes(from, to);
}

/** Copies what is in one directory into another one that is empty. */
export function copyEntries(from: number, to: number): void {
  new TreeCopy(to).entries(from, to, "");
}

/** Gives a directory the owner, mode, extended attributes and time of another one. */
export function copyAttributes(from: number, to: number): void {
  const file = statFd(from);
  chownAt(to, ".", file.uid, file.gid, 0);
  chmodAt(to, ".", file.mode & 0o7777);
  copyXattrs(from, to, ".");
  setTimesAt(to, ".", file.mtime, file.mtimeNsec);
}

const READ_DIRECTORY = O.O_RDONLY | O.O_DIRECTORY | O.O_NOFOLLOW;

class TreeCopy {
  /** Where a file is, below the top, that further names may be links of. */
  readonly #links = new Map<string, string>();

  constructor(private readonly top: number) {}

  /** @param place where `to` is below the top, with a slash behind it unless it is the top */
  entries(from: number, to: number, place: string): void {
    for (const name of readDirectory(".", from)) this.#entry(from, to, name, place);
  }

  #entry(from: number, to: number, name: string, place: string): void {
    const file = statAt(from, name, AT_SYMLINK_NOFOLLOW);
    const kind = file.mode & S_IFMT;
    if (kind !== S_IFDIR && file.nlink > 1 && this.#linkAgain(file, to, name, place)) return;
    switch (kind) {
      case S_IFDIR:
        this.#directory(from, to, name, place);
        break;
      case S_IFREG:
        copyFile(from, to, name, file.size);
        break;
      case S_IFLNK:
        symlink(readlink(name, from), name, to);
        break;
      case S_IFCHR:
        // overlayfs' whiteout, seen in a layer that nothing is stacked on
        if (file.rdevMajor === 0 && file.rdevMinor === 0) return;
        mknod(to, name, file.mode, file.rdevMajor, file.rdevMinor);
        break;
      case S_IFBLK:
      case S_IFIFO:
        mknod(to, name, file.mode, file.rdevMajor, file.rdevMinor);
        break;
      default:
        return;
    }
    chownAt(to, name, file.uid, file.gid);
    // Behind chown(2), which clears set-user-id. A symbolic link has no mode.
    if (kind !== S_IFLNK) chmodAt(to, name, file.mode & 0o7777);
    copyXattrs(from, to, name);
    setTimesAt(to, name, file.mtime, file.mtimeNsec);
  }

  #directory(from: number, to: number, name: string, place: string): void {
    mkdir(name, 0o700, to);
    const source = openat(from, name, READ_DIRECTORY);
    try {
      const target = openat(to, name, READ_DIRECTORY);
      try {
        this.entries(source, target, `${place}${name}/`);
      } finally {
        close(target);
      }
    } finally {
      close(source);
    }
  }

  /** @returns whether it is a further name of what is copied already */
  #linkAgain(file: Stat, to: number, name: string, place: string): boolean {
    const key = `${file.devMajor}:${file.devMinor}:${file.ino}`;
    const first = this.#links.get(key);
    if (first === undefined) {
      this.#links.set(key, place + name);
      return false;
    }
    link(this.top, first, to, name);
    return true;
  }
}

function copyFile(from: number, to: number, name: string, size: number): void {
  const source = openat(from, name, O.O_RDONLY | O.O_NOFOLLOW | O.O_NONBLOCK);
  try {
    const flags = O.O_WRONLY | O.O_CREAT | O.O_EXCL | O.O_NOFOLLOW;
    const target = openat(to, name, flags, 0o600);
    try {
      copyData(source, target, name);
      ftruncate(target, size); // what a hole ends
    } finally {
      close(target);
    }
  } finally {
    close(source);
  }
}

function copyData(source: number, target: number, name: string): void {
  const buffer = new Uint8Array(1 << 18);
  for (let at = 0; ; ) {
    const run = nextData(source, at);
    if (run === undefined) return;
    for (at = run.start; at < run.end; ) {
      const count = pread(source, buffer.subarray(0, Math.min(buffer.length, run.end - at)), at);
      if (count === 0) return;
      writeAt(target, buffer.subarray(0, count), at, name);
      at += count;
    }
  }
}

function writeAt(fd: number, bytes: Uint8Array, offset: number, name: string): void {
  for (let at = 0; at < bytes.length; ) at += pwrite(fd, bytes.subarray(at), offset + at, name);
}

/** overlayfs' own, and labels, which are the place's and not the file's. */
const LEFT_BEHIND = /^(?:trusted\.overlay\.|user\.overlay\.|security\.(?:selinux|ima|evm)$)/;

function copyXattrs(from: number, to: number, name: string): void {
  const source = `${fdPath(from)}/${name}`;
  for (const xattr of listXattrs(source)) {
    if (LEFT_BEHIND.test(xattr)) continue;
    const value = getXattr(source, xattr);
    if (value === undefined) continue;
    try {
      setXattr(`${fdPath(to)}/${name}`, xattr, value);
    } catch (error) {
      // A tmpfs has none of the user's, and a user namespace sets few.
      if (!isErrno(error, "EOPNOTSUPP", "EPERM")) throw error;
    }
  }
}
