/**
 * `diff`: what a container changed. As Docker tells of it (moby: pkg/archive, ChangesDirs), which
 * compares what the container sees with what its image has; but only what is in the container's own
 * layer can differ.
 */
import { decodeBytes } from "../ffi/bytes.ts";
import { readDirectoryEntries } from "../linux/directory.ts";
import { close, O, open } from "../linux/fd.ts";
import { ifExists, S_IFCHR, S_IFDIR, S_IFMT, S_IFREG, type Stat, statFd } from "../linux/file.ts";
import { getXattrOf } from "../linux/xattr.ts";
import { type FoundContainer, recordOf } from "./lifecycle_process.ts";
import { OwnLayer, withItem } from "./own_layer.ts";

/** Added, changed, deleted. */
export type ChangeKind = "A" | "C" | "D";

/** A file that is not as it is in the image. */
export interface Change {
  readonly kind: ChangeKind;
  /** absolute, in the container */
  readonly path: string;
}

/** All changes, each directory before what is in it. */
export function containerChanges(found: FoundContainer): Change[] {
  using own = new OwnLayer(found, recordOf(found));
  const upper = open(own.path, O.O_PATH | O.O_DIRECTORY);
  try {
    const walk = new Walk(own, upper);
    walk.directory("", true, true);
    return walk.changes;
  } finally {
    close(upper);
  }
}

class Walk {
  readonly changes: Change[] = [];

  constructor(
    private readonly own: OwnLayer,
    private readonly upper: number,
  ) {}

  /**
   * Looks into a directory of the layer.
   * @param path without slashes at its ends, "" for the root
   * @param wasDirectory it was one in the image
   * @param isTold it has been told of itself
   */
  directory(path: string, wasDirectory: boolean, isTold: boolean): void {
    const before = this.changes.length;
    // None is held open while what is in it is looked at: a container may nest them without end.
    const found = withItem(this.upper, path, (fd) => ({ names: namesIn(fd), hides: isOpaque(fd) }));
    if (found === undefined) return; // removed just now
    const { names, hides } = found;
    const hidden = hides && wasDirectory ? (withItem(this.own.below, path, namesIn) ?? []) : [];
    for (const name of [...new Set([...names, ...hidden])].sort(byBytes)) {
      const inner = path === "" ? name : `${path}/${name}`;
      const isIn = withItem(this.upper, inner, (fd) => this.#judge(fd, inner, wasDirectory));
      if (isIn === undefined && hidden.includes(name)) this.#tell("D", inner);
      else if (isIn !== undefined && isIn !== "no") this.directory(inner, isIn.was, isIn.told);
    }
    if (isTold || this.changes.length === before) return;
    this.changes.splice(before, 0, { kind: "C", path: `/${path}` });
  }

  /** @returns "no" for what is no directory */
  #judge(
    fd: number,
    path: string,
    hadParent: boolean,
  ): { readonly was: boolean; readonly told: boolean } | "no" {
    const stat = statFd(fd);
    const isDirectory = kindOf(stat) === S_IFDIR;
    if (this.own.isMountPoint(path, stat)) return isDirectory ? { was: false, told: true } : "no";
    const old = hadParent
      ? withItem(this.own.below, path, (below) => compare(fd, stat, below))
      : undefined;
    if (isWhiteout(stat)) {
      if (old !== undefined) this.#tell("D", path);
      return "no";
    }
    if (old === undefined) this.#tell("A", path);
    else if (old.differs) this.#tell("C", path);
    if (!isDirectory) return "no";
    return { was: old?.isDirectory === true, told: old === undefined || old.differs };
  }

  #tell(kind: ChangeKind, path: string): void {
    this.changes.push({ kind, path: `/${path}` });
  }
}

const kindOf = ({ mode }: Stat): number => mode & S_IFMT;

const isWhiteout = (stat: Stat): boolean =>
  kindOf(stat) === S_IFCHR && stat.rdevMajor === 0 && stat.rdevMinor === 0;

/** Whether a directory hides what lower layers have there. */
function isOpaque(fd: number): boolean {
  const value = getXattrOf(fd, "trusted.overlay.opaque");
  return value?.length === 1 && value[0] === 0x79; // "y"
}

const namesIn = (fd: number): string[] =>
  (ifExists(() => readDirectoryEntries(".", fd)) ?? []).map(({ bytes }) => decodeBytes(bytes));

const byBytes = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b));

/** Docker's comparison (statDifferent): of a directory size and time say nothing. */
function compare(fd: number, stat: Stat, below: number) {
  const old = statFd(below);
  const isDirectory = kindOf(old) === S_IFDIR;
  const differs =
    old.mode !== stat.mode ||
    old.uid !== stat.uid ||
    old.gid !== stat.gid ||
    old.rdevMajor !== stat.rdevMajor ||
    old.rdevMinor !== stat.rdevMinor ||
    (!isDirectory && (old.size !== stat.size || !isSameTime(old, stat))) ||
    (kindOf(stat) === S_IFREG && !hasSameCapabilities(fd, below));
  return { isDirectory, differs };
}

/** Some file systems, and archives, have no nanoseconds. */
const isSameTime = (a: Stat, b: Stat): boolean =>
  a.mtime === b.mtime && (a.mtimeNsec === b.mtimeNsec || a.mtimeNsec === 0 || b.mtimeNsec === 0);

function hasSameCapabilities(a: number, b: number): boolean {
  const [one, other] = [a, b].map((fd) => getXattrOf(fd, "security.capability"));
  return Buffer.compare(one ?? Buffer.alloc(0), other ?? Buffer.alloc(0)) === 0;
}
