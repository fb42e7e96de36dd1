/**
 * `tmpcopyup`: what lay under a tmpfs is copied into it. The files are an image's, so nothing is
 * followed: every name is opened below a held directory, and looked at by descriptor.
 */

import { readDirectory } from "../linux/directory.ts";
import { AT_SYMLINK_NOFOLLOW, close, O, openat, read, writeAll } from "../linux/fd.ts";
import {
  chownAt,
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
  statAt,
  statFd,
  symlink,
} from "../linux/file.ts";
import { chmodAt, setTimesAt } from "../linux/file_metadata.ts";

/** Copies what is in one directory into another, with owners, modes and times. Sockets stay behind. */
export function copyTree(from: number, to: number): void {
  const file = statFd(from);
  for (const name of readDirectory(".", from)) copyEntry(from, to, name);
  chmodAt(to, ".", file.mode & 0o7777);
  chownAt(to, ".", file.uid, file.gid, 0);
}

function copyEntry(from: number, to: number, name: string): void {
  const file = statAt(from, name, AT_SYMLINK_NOFOLLOW);
  switch (file.mode & S_IFMT) {
    case S_IFDIR:
      mkdir(name, 0o700, to);
      withBoth(from, to, name, O.O_RDONLY | O.O_DIRECTORY, O.O_RDONLY | O.O_DIRECTORY, copyTree);
      break;
    case S_IFREG:
      withBoth(from, to, name, O.O_RDONLY, O.O_WRONLY | O.O_CREAT | O.O_EXCL, copyData);
      chownAt(to, name, file.uid, file.gid);
      chmodAt(to, name, file.mode & 0o7777); // behind chown(2), which clears set-user-id
      break;
    case S_IFLNK:
      symlink(readlink(name, from), name, to);
      chownAt(to, name, file.uid, file.gid);
      break;
    case S_IFCHR:
    case S_IFBLK:
    case S_IFIFO:
      mknod(to, name, file.mode, file.rdevMajor, file.rdevMinor);
      chownAt(to, name, file.uid, file.gid);
      break;
    default:
      return;
  }
  setTimesAt(to, name, file.mtime, 0);
}

function withBoth(
  from: number,
  to: number,
  name: string,
  fromFlags: number,
  toFlags: number,
  copy: (source: number, target: number) => void,
): void {
  const source = openat(from, name, fromFlags | O.O_NOFOLLOW | O.O_NONBLOCK);
  try {
    const target = openat(to, name, toFlags | O.O_NOFOLLOW, 0o600);
    try {
      copy(source, target);
    } finally {
      close(target);
    }
  } finally {
    close(source);
  }
}

function copyData(source: number, target: number): void {
  const buffer = new Uint8Array(65536);
  for (let count = read(source, buffer); count > 0; count = read(source, buffer)) {
    writeAll(target, buffer.subarray(0, count));
  }
}
