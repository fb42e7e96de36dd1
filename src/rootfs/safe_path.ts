/**
 * Paths inside a root that somebody else controls. Every step is taken by openat2(2) with
 * RESOLVE_IN_ROOT, so a symbolic link or ".." ends inside the root whatever is swapped while we
 * walk (CVE-2021-30465), and what is made is made on a held descriptor (CVE-2024-45310).
 */
import { isErrno } from "../ffi/call.ts";
import { close, O, openat, openat2, RESOLVE } from "../linux/fd.ts";
import { mkdir } from "../linux/file.ts";

const IN_ROOT = RESOLVE.RESOLVE_IN_ROOT | RESOLVE.RESOLVE_NO_MAGICLINKS;

/** How a path is followed. */
export interface FollowOptions {
  /** false: a symbolic link anywhere in the path is an error (ELOOP) */
  readonly followLinks?: boolean;
}

/** Opens `path` inside the root as an O_PATH descriptor. */
export function openInRoot(
  rootFd: number,
  path: string,
  flags = 0,
  { followLinks = true }: FollowOptions = {},
): number {
  const resolve = followLinks ? IN_ROOT : IN_ROOT | RESOLVE.RESOLVE_NO_SYMLINKS;
  return openat2(rootFd, path, O.O_PATH | flags, resolve);
}

/** Opens a file inside the root for reading. */
export function openForReading(rootFd: number, path: string): number {
  return openat2(rootFd, path, O.O_RDONLY | O.O_NONBLOCK, IN_ROOT);
}

/** Opens the directory `path` inside the root, making what is missing with mode 0755. @returns an O_PATH descriptor */
export function makeDirectoryInRoot(
  rootFd: number,
  path: string,
  options: FollowOptions = {},
): number {
  try {
    return openInRoot(rootFd, path, O.O_DIRECTORY, options);
  } catch (error) {
    if (!isErrno(error, "ENOENT")) throw error;
  }
  const clean = path.replace(/\/+$/, "");
  const slash = clean.lastIndexOf("/");
  const parent = makeDirectoryInRoot(rootFd, clean.slice(0, slash) || "/", options);
  try {
    mkdir(clean.slice(slash + 1), 0o755, parent);
  } catch (error) {
    if (!isErrno(error, "EEXIST")) throw error;
  } finally {
    close(parent);
  }
  // By the whole path again: what was made is found there, or something was swapped meanwhile.
  return openInRoot(rootFd, path, O.O_DIRECTORY, options);
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
    const create = O.O_CREAT | O.O_EXCL | O.O_WRONLY | O.O_NOFOLLOW;
    close(openat(directory, path.slice(slash + 1), create, 0o644));
  } finally {
    close(directory);
  }
  return openInRoot(rootFd, path);
}
