/**
 * Paths inside a root that somebody else controls. Every step is taken by openat2(2) with
 * RESOLVE_IN_ROOT, so a symbolic link or ".." ends inside the root whatever is swapped while we
 * walk (CVE-2021-30465), and what is made is made on a held descriptor (CVE-2024-45310).
 */
import { close, O, openat, openat2, openat2IfExists, RESOLVE } from "../linux/fd.ts";
import { mkdirIfMissing, readlinkIfLink } from "../linux/file.ts";

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

/** {@link openInRoot} for what may not be there: undefined then. */
export function openInRootIfExists(
  rootFd: number,
  path: string,
  flags = 0,
  { followLinks = true }: FollowOptions = {},
): number | undefined {
  const resolve = followLinks ? IN_ROOT : IN_ROOT | RESOLVE.RESOLVE_NO_SYMLINKS;
  return openat2IfExists(rootFd, path, O.O_PATH | flags, resolve);
}

/** Opens a file inside the root for reading; undefined when there is none. */
export function openForReading(rootFd: number, path: string): number | undefined {
  return openat2IfExists(rootFd, path, O.O_RDONLY | O.O_NONBLOCK, IN_ROOT);
}

/** How many links that lead to what is not there yet are followed, as the kernel follows others (path_resolution(7)). */
const LINKS = 40;

/** Opens the directory `path` inside the root, making what is missing with mode 0755. @returns an O_PATH descriptor */
export function makeDirectoryInRoot(
  rootFd: number,
  path: string,
  options: FollowOptions = {},
  links = LINKS,
): number {
  const found = openInRootIfExists(rootFd, path, O.O_DIRECTORY, options);
  if (found !== undefined) return found;
  const { parent, name } = splitPath(path);
  const directory = makeDirectoryInRoot(rootFd, parent, options, links);
  try {
    if (!mkdirIfMissing(name, 0o755, directory)) {
      const target = linkTarget(directory, parent, name, links);
      if (target !== undefined) return makeDirectoryInRoot(rootFd, target, options, links - 1);
    }
  } finally {
    close(directory);
  }
  // By the whole path again: what was made is found there, or something was swapped meanwhile.
  return openInRoot(rootFd, path, O.O_DIRECTORY, options);
}

/** Opens the file `path` inside the root, making it (empty) and its directories when missing. @returns an O_PATH descriptor */
export function makeFileInRoot(rootFd: number, path: string, links = LINKS): number {
  const found = openInRootIfExists(rootFd, path);
  if (found !== undefined) return found;
  const { parent, name } = splitPath(path);
  const directory = makeDirectoryInRoot(rootFd, parent, {}, links);
  try {
    const target = linkTarget(directory, parent, name, links);
    if (target !== undefined) return makeFileInRoot(rootFd, target, links - 1);
    close(openat(directory, name, O.O_CREAT | O.O_EXCL | O.O_WRONLY | O.O_NOFOLLOW, 0o644));
  } finally {
    close(directory);
  }
  return openInRoot(rootFd, path);
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
