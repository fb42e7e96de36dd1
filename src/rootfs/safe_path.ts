/**
 * Paths inside a root that somebody else controls. Every step is taken by openat2(2) with
 * RESOLVE_IN_ROOT, so a symbolic link or ".." ends inside the root whatever is swapped while we
 * walk (CVE-2021-30465), and what is made is made on a held descriptor (CVE-2024-45310).
 */
import { isErrno } from "../ffi/call.ts";
import { close, O, openat, openat2, openat2IfExists, RESOLVE } from "../linux/fd.ts";
import { mkdirIfMissing, readlinkIfLink } from "../linux/file.ts";
import { explain, RootfsError } from "./rootfs_error.ts";

const IN_ROOT = RESOLVE.RESOLVE_IN_ROOT | RESOLVE.RESOLVE_NO_MAGICLINKS;

/** How a path is followed. */
export interface FollowOptions {
  /** false: a symbolic link anywhere in the path is an error (ELOOP) */
  readonly followLinks?: boolean;
}

const resolution = ({ followLinks = true }: FollowOptions): number =>
  followLinks ? IN_ROOT : IN_ROOT | RESOLVE.RESOLVE_NO_SYMLINKS;

/** Opens `path` inside the root as an O_PATH descriptor. */
export function openInRoot(
  rootFd: number,
  path: string,
  flags = 0,
  options: FollowOptions = {},
): number {
  return openat2(rootFd, path, O.O_PATH | flags, resolution(options));
}

/** {@link openInRoot} for what may not be there: undefined then. */
export function openInRootIfExists(
  rootFd: number,
  path: string,
  flags = 0,
  options: FollowOptions = {},
): number | undefined {
  return openat2IfExists(rootFd, path, O.O_PATH | flags, resolution(options));
}

/** Opens a file inside the root for reading; undefined when there is none. */
export function openForReading(rootFd: number, path: string): number | undefined {
  return openat2IfExists(rootFd, path, O.O_RDONLY | O.O_NONBLOCK, IN_ROOT);
}

/** How many links that lead to what is not there yet are followed, as the kernel follows others (path_resolution(7)). */
const LINKS = 40;

/**
 * Opens the directory `path` inside the root, making what is missing with mode 0755.
 * @returns an O_PATH descriptor
 * @throws {RootfsError} that names the part of the path that is no directory, or cannot be made
 */
export function makeDirectoryInRoot(
  rootFd: number,
  path: string,
  options: FollowOptions = {},
  links = LINKS,
): number {
  const found = findInRoot(rootFd, path, O.O_DIRECTORY, options);
  if (found !== undefined) return found;
  const { parent, name } = splitPath(path);
  const directory = makeDirectoryInRoot(rootFd, parent, options, links);
  try {
    if (making(path, () => mkdirIfMissing(name, 0o755, directory))) {
      const made = openMade(directory, name, O.O_DIRECTORY);
      if (made !== undefined) return made;
    } else {
      const target = linkTarget(directory, parent, name, links);
      if (target !== undefined && options.followLinks !== false)
        return makeDirectoryInRoot(rootFd, target, options, links - 1);
    }
  } finally {
    close(directory);
  }
  // Somebody else has made something there, or put it in the place of what we have made.
  return openAgain(rootFd, path, O.O_DIRECTORY, options);
}

/**
 * Opens the file `path` inside the root, making it (empty) and its directories when missing.
 * @returns an O_PATH descriptor
 * @throws {RootfsError} as {@link makeDirectoryInRoot}
 */
export function makeFileInRoot(
  rootFd: number,
  path: string,
  options: FollowOptions = {},
  links = LINKS,
): number {
  const found = findInRoot(rootFd, path, 0, options);
  if (found !== undefined) return found;
  const { parent, name } = splitPath(path);
  const directory = makeDirectoryInRoot(rootFd, parent, options, links);
  try {
    const target = linkTarget(directory, parent, name, links);
    if (target !== undefined && options.followLinks !== false)
      return makeFileInRoot(rootFd, target, options, links - 1);
    making(path, () =>
      close(openat(directory, name, O.O_CREAT | O.O_EXCL | O.O_WRONLY | O.O_NOFOLLOW, 0o644)),
    );
    const made = openMade(directory, name, 0);
    if (made !== undefined) return made;
  } finally {
    close(directory);
  }
  return openAgain(rootFd, path, 0, options);
}

/** What was made in a held directory; undefined when it is there no more. */
function openMade(directory: number, name: string, flags: number): number | undefined {
  const resolve = RESOLVE.RESOLVE_BENEATH | RESOLVE.RESOLVE_NO_SYMLINKS;
  try {
    return openat2IfExists(directory, name, O.O_PATH | flags, resolve);
  } catch (error) {
    if (isErrno(error, "ELOOP")) return undefined;
    throw explain(error, name);
  }
}

/** Does something that makes `path`. @throws {RootfsError} that names it */
export function making<T>(path: string, make: () => T): T {
  try {
    return make();
  } catch (error) {
    const hint = isErrno(error, "EROFS") ? "; what is mounted on has to be there already" : "";
    throw explain(error, `make ${path}`, hint);
  }
}

function findInRoot(
  rootFd: number,
  path: string,
  flags: number,
  options: FollowOptions,
): number | undefined {
  try {
    return openInRootIfExists(rootFd, path, flags, options);
  } catch (error) {
    throw explainWalk(error, path, options);
  }
}

function openAgain(rootFd: number, path: string, flags: number, options: FollowOptions): number {
  try {
    return openInRoot(rootFd, path, flags, options);
  } catch (error) {
    throw explainWalk(error, path, options);
  }
}

function explainWalk(error: unknown, path: string, { followLinks = true }: FollowOptions): unknown {
  if (isErrno(error, "ENOTDIR"))
    return new RootfsError(`${path} is not a directory`, { cause: error });
  if (isErrno(error, "ELOOP", "EXDEV") && !followLinks) {
    return new RootfsError(`${path} leads through a symbolic link of the image`, { cause: error });
  }
  return explain(error, path);
}

/**
 * Where a symbolic link leads to whose target is missing, as a path in the root; undefined for what
 * is no link. ".." in it is taken by the kernel, which stops at the root.
 */
function linkTarget(
  directory: number,
  parent: string,
  name: string,
  links: number,
): string | undefined {
  const target = readlinkIfLink(name, directory);
  if (target === undefined || links === 0) return undefined;
  return target.startsWith("/") ? target : `${parent}/${target}`;
}

/** The directory that a path's last name is in, and that name. */
export function splitPath(path: string): { readonly parent: string; readonly name: string } {
  const clean = path.replace(/\/+$/, "");
  const slash = clean.lastIndexOf("/");
  return { parent: clean.slice(0, slash) || "/", name: clean.slice(slash + 1) };
}
