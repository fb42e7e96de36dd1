/** How much is in a directory. */
import { isErrno } from "../ffi/call.ts";
import { readDirectory } from "./directory.ts";
import { AT_FDCWD, AT_SYMLINK_NOFOLLOW, close, O, openat } from "./fd.ts";
import { S_IFDIR, S_IFMT, statAt } from "./file.ts";

/** Levels below which is not looked: each holds a descriptor, and whoever fills a directory may nest without end. */
const DEPTH_LIMIT = 512;

/**
 * Bytes of the files below a directory, as Docker counts them (moby: pkg/directory, Size): a file
 * with several names once, directories themselves not at all. Symbolic links are not followed; what
 * vanishes meanwhile does not count.
 * @returns 0 when there is no such directory
 */
export function treeSize(path: string): number {
  return sizeBelow(path, AT_FDCWD, new Set(), DEPTH_LIMIT);
}

function sizeBelow(path: string, dirfd: number, seen: Set<string>, levels: number): number {
  const fd = unlessGone(() => openat(dirfd, path, O.O_RDONLY | O.O_DIRECTORY | O.O_NOFOLLOW));
  if (fd === undefined) return 0;
  let size = 0;
  try {
    for (const name of unlessGone(() => readDirectory(".", fd)) ?? []) {
      const file = unlessGone(() => statAt(fd, name, AT_SYMLINK_NOFOLLOW));
      if (file === undefined) continue;
      if ((file.mode & S_IFMT) === S_IFDIR) {
        if (levels > 0) size += sizeBelow(name, fd, seen, levels - 1);
        continue;
      }
      if (file.nlink > 1) {
        const inode = `${file.devMajor}:${file.devMinor}:${file.ino}`;
        if (seen.has(inode)) continue;
        seen.add(inode);
      }
      size += file.size;
    }
  } finally {
    close(fd);
  }
  return size;
}

/** ENOTDIR, ELOOP: it is something else by now. */
function unlessGone<T>(call: () => T): T | undefined {
  try {
    return call();
  } catch (error) {
    if (isErrno(error, "ENOENT", "ENOTDIR", "ELOOP")) return undefined;
    throw error;
  }
}
