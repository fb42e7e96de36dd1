/**
 * Paths inside a root that somebody else controls. Every step is taken by openat2(2) with
 * RESOLVE_IN_ROOT, so a symbolic link or ".." ends inside the root whatever is swapped while we
 * walk (CVE-2021-30465), and what is made is made on a held descriptor (CVE-2024-45310).
 */
import { isErrno } from "../ffi/call.ts";
import { close, O, openat, openat2, RESOLVE } from "../linux/fd.ts";
import { mkdir } from "../linux/file.ts";

const IN_ROOT = RESOLVE.RESOLVE_IN_ROOT | RESOLVE.RESOLVE_NO_MAGICLINKS;

/** Opens `path` inside the root as an O_PATH descriptor. */
export function openInRoot(rootFd: number, path: string, flags = 0): number {
  return openat2(rootFd, path, O.O_PATH | flags, IN_ROOT);
}

/** Opens the directory `path` inside the root, making what is missing with mode 0755. @returns an O_PATH descriptor */
export function makeDirectoryInRoot(rootFd: number, path: string): number {
  try {
    return openInRoot(rootFd, path, O.O_DIRECTORY);
  } catch (error) {
    if (!isErrno(error, "ENOENT")) throw error;
  }
  const parts = path.split("/").filter((part) => part !== "" && part !== ".");
  let prefix = "";
  let parent = openInRoot(rootFd, "/", O.O_DIRECTORY);
  for (const part of parts) {
    prefix += `/${part}`;
    let next: number;
    try {
      next = openInRoot(rootFd, prefix, O.O_DIRECTORY);
    } catch (error) {
      if (!isErrno(error, "ENOENT")) throw error;
      try {
        mkdir(part, 0o755, parent);
      } catch (made) {
        if (!isErrno(made, "EEXIST")) throw made;
      }
      next = openInRoot(rootFd, prefix, O.O_DIRECTORY);
    }
    close(parent);
    parent = next;
  }
  return parent;
}

/** Opens the file `path` inside the root, making it (empty) and its directories when missing. @returns an O_PATH descriptor */
export function makeFileInRoot(rootFd: number, path: string): number {
  try {
    return openInRoot(rootFd, path);
  } catch (error) {
    if (!isErrno(error, "ENOENT")) throw error;
  }
  const slash = path.lastIndexOf("/");
  const directory = makeDirectoryInRoot(rootFd, path.slice(0, slash) || "/");
  try {
    close(
      openat(
        directory,
        path.slice(slash + 1),
        O.O_CREAT | O.O_EXCL | O.O_WRONLY | O.O_NOFOLLOW,
        0o644,
      ),
    );
  } finally {
    close(directory);
  }
  return openInRoot(rootFd, path);
}
