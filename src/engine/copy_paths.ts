/**
 * What `cp` copies to where: Docker's rules (docker cp's manual; moby: pkg/archive/copy.go), which
 * are those of cp(1) but for directories whose target does not exist.
 */
import { MydockerError } from "../errors.ts";
import { isErrno } from "../ffi/call.ts";
import { close, fdPath, O, open, openat2, RESOLVE } from "../linux/fd.ts";
import {
  readlink,
  S_IFBLK,
  S_IFCHR,
  S_IFDIR,
  S_IFLNK,
  S_IFMT,
  type Stat,
  statFd,
} from "../linux/file.ts";
import { quote } from "../quote.ts";

/** One of the two ends of a copy: this machine, or a container. */
export interface End {
  /** An O_PATH descriptor. @param follow a symbolic link in the last place, too */
  open(path: string, follow: boolean): number;
}

/** This machine. */
export const LOCAL: End = {
  open: (path, follow) => open(path, O.O_PATH | (follow ? 0 : O.O_NOFOLLOW)),
};

/** A container: links and ".." end in its root (CVE-2018-15664). @param root a descriptor of that */
export const containerEnd = (root: number): End => ({
  open: (path, follow) =>
    openat2(
      root,
      path,
      O.O_PATH | (follow ? 0 : O.O_NOFOLLOW),
      RESOLVE.RESOLVE_IN_ROOT | RESOLVE.RESOLVE_NO_MAGICLINKS,
    ),
});

/** Something that is there. */
export interface Item {
  readonly fd: number;
  readonly stat: Stat;
}

/** Whether it is a directory. */
export const isDirectory = ({ stat }: Item): boolean => (stat.mode & S_IFMT) === S_IFDIR;

/** @returns undefined when there is nothing */
export function findItem(end: End, path: string, follow: boolean): Item | undefined {
  try {
    const fd = end.open(path, follow);
    return { fd, stat: statFd(fd) };
  } catch (error) {
    if (isErrno(error, "ENOENT", "ENOTDIR")) return undefined;
    throw error;
  }
}

/** A path as an absolute one, lexically clean; what says that it is a directory stays behind it (`/`, `/.`). */
export function absolutePath(path: string, from: string): string {
  const parts: string[] = [];
  for (const part of (path.startsWith("/") ? path : `${from}/${path}`).split("/")) {
    if (part === "..") parts.pop();
    else if (part !== "" && part !== ".") parts.push(part);
  }
  const clean = `/${parts.join("/")}`;
  if (/(?:^|\/)\.$/.test(path)) return clean === "/" ? "/." : `${clean}/.`;
  return path.endsWith("/") && clean !== "/" ? `${clean}/` : clean;
}

/** A directory and a name in it. */
export interface Entry {
  readonly parent: string;
  readonly name: string;
}

/** The last part of a path, and what is before it; `.` is a part. */
export function splitEntry(path: string): Entry {
  const clean = path.replace(/\/+$/, "");
  const slash = clean.lastIndexOf("/");
  return { parent: clean.slice(0, slash) || "/", name: clean.slice(slash + 1) || "/" };
}

/** What is to be copied. */
export interface Source {
  readonly item: Item;
  /** what it is called, "." for what is in a directory */
  readonly name: string;
}

/** Where it is to go. */
export interface Target {
  /** behind all symbolic links */
  readonly path: string;
  /** absent when there is nothing */
  readonly item?: Item;
}

/** How many links in a row are followed, as the kernel does (path_resolution(7)). */
const LINKS = 40;

/** A target is what a symbolic link leads to, be it there or not. */
export function resolveTarget(end: End, path: string): Target {
  let at = path;
  for (let links = 0; links <= LINKS; links++) {
    const item = findItem(end, at, false);
    if (item === undefined) return { path: at };
    if ((item.stat.mode & S_IFMT) !== S_IFLNK) return { path: at, item };
    const to = readlink("", item.fd);
    close(item.fd);
    at = to.startsWith("/") ? to : `${realPathOf(end, splitEntry(at).parent)}/${to}`;
  }
  throw new MydockerError(`too many symbolic links in ${quote(path)}`);
}

/** Where a path of an end really is, seen from the root of that. */
function realPathOf(end: End, path: string): string {
  const fd = end.open(path, true);
  try {
    return pathOf(fd);
  } finally {
    close(fd);
  }
}

/** The path of what a descriptor names, from the root that it was opened in. */
export const pathOf = (fd: number): string => readlink(fdPath(fd));

/** Where a copy is made. */
export interface Placement {
  /** a directory that has to be there */
  readonly directory: string;
  /** absent: what is in the source goes into the directory */
  readonly name?: string;
}

/** @throws {MydockerError} in Docker's words for what cannot be */
export function placeCopy(source: Source, target: Target): Placement {
  const { item, path } = target;
  if (item !== undefined && isDirectory(item)) {
    return source.name === "." || source.name === "/"
      ? { directory: path }
      : { directory: path, name: source.name };
  }
  if (item !== undefined && isDirectory(source.item))
    throw new MydockerError("cannot copy directory", {
      hint: `${quote(path)} is a file`,
    });
  if (item === undefined && !isDirectory(source.item) && /\/\.?$/.test(path))
    throw new MydockerError("no such directory", { hint: `${quote(path)} does not exist` });
  const { parent, name } = splitEntry(path);
  return { directory: parent, name };
}

/** What keeps files from being written somewhere (docker's ValidateOutputPathFileMode). */
export function unfitForOutput({ stat }: Item): string | undefined {
  const kind = stat.mode & S_IFMT;
  return kind === S_IFBLK || kind === S_IFCHR ? "got a device" : undefined;
}
