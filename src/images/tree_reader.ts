/**
 * Reads a tree of files that somebody else may be changing meanwhile, and tells of it as of a tar
 * archive. Each name is opened on the descriptor of its directory, without following links
 * (CVE-2018-15664), and a file is read only once its descriptor says that it is one: to open a
 * device may do something, and to open a FIFO may wait for ever.
 */
import { MydockerError } from "../errors.ts";
import { decodeBytes, encodeBytes } from "../ffi/bytes.ts";
import { isErrno, SysError } from "../ffi/call.ts";
import { errnoText } from "../ffi/errno.ts";
import { readDirectoryEntries } from "../linux/directory.ts";
import { close, fdPath, nextData, O, open, openat2, pread, RESOLVE } from "../linux/fd.ts";
import {
  ifExists,
  readlink,
  S_IFBLK,
  S_IFCHR,
  S_IFDIR,
  S_IFIFO,
  S_IFLNK,
  S_IFMT,
  S_IFREG,
  type Stat,
  statFd,
} from "../linux/file.ts";
import { getXattrOf, listXattrsOf } from "../linux/xattr.ts";
import type { TarEntry, TarEntryType, TarSink } from "./tar_entry.ts";
import { quoteName, TarError } from "./tar_header.ts";

/** What overlayfs says to itself. */
const OVERLAY_XATTR = /^(?:trusted|user)\.overlay\./;
/** Labels that mean something on this machine only. */
const LABEL_XATTR = /^security\.(?:selinux|ima|evm)$/;

const TYPES: Readonly<Record<number, TarEntryType>> = {
  [S_IFREG]: "file",
  [S_IFDIR]: "directory",
  [S_IFLNK]: "symlink",
  [S_IFCHR]: "character",
  [S_IFBLK]: "block",
  [S_IFIFO]: "fifo",
};

/** limits.h: bytes of a path, with its NUL. */
const PATH_MAX = 4096;
/** Directories whose descriptors are held at once: a container may nest them without end. */
const HELD = 64;
/** What is read at once, in bytes. What is smaller is as it was at one moment. */
const CHUNK = 1 << 20;

/** Something of a tree, as the reader found it. */
export interface Found {
  readonly stat: Stat;
  /** O_PATH, closed when the call is over */
  readonly fd: number;
  /** as in {@link TarEntry}, without a trailing slash; "" for the tree itself */
  readonly path: string;
}

/** How a tree is read. */
export interface TreeOptions {
  /** Asked for a directory that another file system is mounted on: what is in it is left out unless this says otherwise. */
  readonly crosses?: (found: Found) => boolean;
  /** Asked for each; what it returns false for is left out, with what is in it. */
  readonly select?: (found: Found) => boolean;
  /** Tell of overlayfs' own attributes, too: the tree is a layer. */
  readonly isLayer?: boolean;
  /** Changes what is said of each. */
  readonly change?: (entry: TarEntry) => TarEntry;
  /** Sockets, which no archive has room for, and what else is not as it was. */
  readonly warn?: (message: string) => void;
}

/**
 * Work that is done a little at each step, so that what comes of it can be passed on between two of
 * them: an entry, or a chunk of a file.
 */
export type Steps = Generator<void, void, void>;

/** Does all of it. */
export function finishSteps(steps: Steps): void {
  while (steps.next().done !== true);
}

/** Reads trees into one archive: files with several names are told of once, then as links to it. */
export class TreeReader {
  readonly #sink: TarSink;
  readonly #options: TreeOptions;
  readonly #seen = new Map<string, string>();
  readonly #buffer = new Uint8Array(CHUNK);

  constructor(sink: TarSink, options: TreeOptions = {}) {
    this.#sink = sink;
    this.#options = options;
  }

  /**
   * Tells of what a directory holds, sorted by bytes, each directory before what is in it. What
   * the sink throws that is a {@link SysError} is taken for an error of reading.
   * @param directory a descriptor of it, which stays the caller's
   * @param prefix put before each name, with its slash: "etc/"
   */
  *readDirectory(directory: number, prefix = ""): Steps {
    yield* this.#walk(new Level(directory, directory, "", false), prefix);
  }

  /**
   * Tells of what a descriptor names, and if it is a directory of what that holds.
   * @param fd O_PATH, stays the caller's
   * @param path what it is called in the archive
   */
  *readItem(fd: number, path: string): Steps {
    const stat = statFd(fd);
    try {
      if (!(yield* this.#tell(fd, stat, path)) || (stat.mode & S_IFMT) !== S_IFDIR) return;
    } catch (error) {
      throw explained(error, path);
    }
    yield* this.readDirectory(fd, path === "" || path.endsWith("/") ? path : `${path}/`);
  }

  /** Level by level without recursion: the depth is the container's to choose. */
  *#walk(top: Level, prefix: string): Steps {
    const levels = [top];
    top.list();
    try {
      for (let level = levels.at(-1); level !== undefined; level = levels.at(-1)) {
        const name = level.next();
        if (name === undefined) {
          levels.pop();
          level.release();
          continue;
        }
        const inner = yield* this.#visit(level, name, prefix);
        if (inner === undefined) continue;
        levels.push(inner);
        // The ones far above can be opened again by their path.
        levels.at(-HELD)?.release();
      }
    } finally {
      for (const level of levels) level.release();
    }
  }

  /** @returns the directory to go on in */
  *#visit(level: Level, name: string, prefix: string): Generator<void, Level | undefined, void> {
    const path = `${level.path}${name}`;
    if (path.length + prefix.length >= PATH_MAX / 4) checkLength(prefix + path);
    const fd = level.open(name);
    if (fd === undefined) return undefined;
    let inner: Level | undefined;
    try {
      const stat = statFd(fd);
      const isTold = yield* this.#tell(fd, stat, prefix + path);
      if (!isTold || (stat.mode & S_IFMT) !== S_IFDIR) return undefined;
      if (
        !level.isOnSame(stat) &&
        this.#options.crosses?.({ stat, fd, path: prefix + path }) !== true
      )
        return undefined;
      const next = new Level(level.top, fd, `${path}/`, true);
      next.list();
      inner = next;
      return inner;
    } catch (error) {
      throw explained(error, prefix + path);
    } finally {
      if (inner === undefined) close(fd);
    }
  }

  /** @returns false when it is left out */
  *#tell(fd: number, stat: Stat, path: string): Generator<void, boolean, void> {
    const { select, warn } = this.#options;
    if (select?.({ stat, fd, path: path.replace(/\/$/, "") }) === false) return false;
    const type = TYPES[stat.mode & S_IFMT];
    if (type === undefined) {
      warn?.(`${quoteName(path)} is a socket, which no archive has room for: it is left out`);
      return false;
    }
    const entry = this.#entryOf(fd, stat, type, path);
    if (entry.type === "file") yield* this.#readFile(fd, stat, entry);
    else this.#sink.entry(this.#changed(entry));
    yield;
    return true;
  }

  #changed(entry: TarEntry): TarEntry {
    return this.#options.change?.(entry) ?? entry;
  }

  #entryOf(fd: number, stat: Stat, type: TarEntryType, path: string): TarEntry {
    const isSingle = type === "directory" || stat.nlink < 2 || isWhiteout(stat);
    const first = isSingle ? undefined : this.#firstName(stat, path);
    return {
      type: first === undefined ? type : "hardlink",
      path,
      linkTarget: first ?? (type === "symlink" ? readlink("", fd) : ""),
      mode: stat.mode & 0o7777,
      uid: stat.uid,
      gid: stat.gid,
      size: type === "file" && first === undefined ? stat.size : 0,
      mtime: stat.mtime,
      mtimeNanoseconds: stat.mtimeNsec,
      devMajor: stat.rdevMajor,
      devMinor: stat.rdevMinor,
      xattrs: first === undefined ? this.#xattrs(fd, type) : [],
    };
  }

  /** Of a symbolic link there are none that anybody could set but root, and no call that takes its descriptor. */
  #xattrs(fd: number, type: TarEntryType): [string, Uint8Array][] {
    if (type === "symlink") return [];
    const found: [string, Uint8Array][] = [];
    for (const name of listXattrsOf(fd)) {
      if (LABEL_XATTR.test(name)) continue;
      if (OVERLAY_XATTR.test(name) && this.#options.isLayer !== true) continue;
      const value = getXattrOf(fd, name);
      if (value !== undefined) found.push([name, value]);
    }
    return found;
  }

  /** The name that a file was told of by already; undefined for the first. */
  #firstName({ devMajor, devMinor, ino }: Stat, path: string): string | undefined {
    const key = `${devMajor}:${devMinor}:${ino}`;
    const first = this.#seen.get(key);
    if (first === undefined) this.#seen.set(key, path);
    return first;
  }

  *#readFile(item: number, stat: Stat, entry: TarEntry): Steps {
    // The descriptor is the file itself, whatever has its name by now.
    const fd = open(fdPath(item), O.O_RDONLY | O.O_NONBLOCK | O.O_NOCTTY);
    try {
      const head = readFully(fd, this.#buffer, 0);
      if (head < this.#buffer.length) {
        // All of it, though some file systems (proc(5)) say a size that is none.
        this.#sink.entry(this.#changed({ ...entry, size: head }));
        if (head > 0) this.#sink.data(this.#buffer.subarray(0, head), 0);
        this.#sink.endFile();
        return;
      }
      const size = Math.max(stat.size, head);
      this.#sink.entry(this.#changed({ ...entry, size }));
      yield* this.#readLarge(fd, size, stat.blocks * BLOCK_UNIT < size, entry.path);
      this.#sink.endFile();
    } finally {
      close(fd);
    }
  }

  /** A file that grows is cut off, of one that shrinks the rest is zeroes: its size is in the archive by now. */
  *#readLarge(fd: number, size: number, hasHoles: boolean, path: string): Steps {
    for (let at = 0; at < size; ) {
      const run = hasHoles ? nextData(fd, at) : { start: at, end: size };
      if (run === undefined) return;
      const end = Math.min(run.end, size);
      for (at = run.start; at < end; yield) {
        const count = Math.min(this.#buffer.length, end - at);
        const got = readFully(fd, this.#buffer.subarray(0, count), at);
        if (got > 0) this.#sink.data(this.#buffer.subarray(0, got), at);
        at += got;
        if (got < count) {
          this.#options.warn?.(`${quoteName(path)} shrank while it was read: its end is zeroes`);
          return;
        }
      }
    }
  }
}

/** overlayfs' whiteout: all of them are names of one file (Documentation/filesystems/overlayfs.rst). */
const isWhiteout = ({ mode, rdevMajor, rdevMinor }: Stat): boolean =>
  (mode & S_IFMT) === S_IFCHR && rdevMajor === 0 && rdevMinor === 0;

/** Unit of {@link Stat.blocks}, bytes. */
const BLOCK_UNIT = 512;

/** @returns less than the buffer's length at the end of the file only */
function readFully(fd: number, buffer: Uint8Array, offset: number): number {
  let filled = 0;
  while (filled < buffer.length) {
    const count = pread(fd, buffer.subarray(filled), offset + filled);
    if (count === 0) break;
    filled += count;
  }
  return filled;
}

/** What fails in the sink has its own words. */
function explained(error: unknown, path: string): unknown {
  if (!(error instanceof SysError)) return error;
  const why = errnoText(error.errno);
  return new MydockerError(`cannot read ${quoteName(path)}: ${why}`, { cause: error });
}

function checkLength(path: string): void {
  if (encodeBytes(path).length >= PATH_MAX)
    throw new TarError(`a name has more than ${PATH_MAX - 1} bytes: ${quoteName(path)}`);
}

const BENEATH =
  RESOLVE.RESOLVE_BENEATH | RESOLVE.RESOLVE_NO_SYMLINKS | RESOLVE.RESOLVE_NO_MAGICLINKS;

/** A directory that is being walked through. */
class Level {
  #names: Uint8Array[] = [];
  #at = 0;
  #fd: number | undefined;
  #device = "";

  /**
   * @param top where the walk began
   * @param fd of this directory
   * @param path from the top, with a slash at its end unless it is the top
   * @param isOurs whether the descriptor is to be closed
   */
  constructor(
    readonly top: number,
    fd: number,
    readonly path: string,
    private readonly isOurs: boolean,
  ) {
    this.#fd = fd;
  }

  /** Reads the names in it. */
  list(): void {
    const fd = this.#fd as number;
    const { devMajor, devMinor } = statFd(fd);
    this.#device = `${devMajor}:${devMinor}`;
    // One that has just been removed has no entries.
    this.#names = (ifExists(() => readDirectoryEntries(".", fd)) ?? [])
      .map(({ bytes }) => bytes)
      .sort(Buffer.compare);
  }

  next(): string | undefined {
    const bytes = this.#names[this.#at++];
    return bytes === undefined ? undefined : decodeBytes(bytes);
  }

  isOnSame({ devMajor, devMinor }: Stat): boolean {
    return this.#device === `${devMajor}:${devMinor}`;
  }

  /** @returns undefined when it has just been removed, or the directory has */
  open(name: string): number | undefined {
    try {
      this.#fd ??= openat2(this.top, this.path, O.O_PATH | O.O_DIRECTORY, BENEATH);
      return openat2(this.#fd, name, O.O_PATH | O.O_NOFOLLOW, BENEATH);
    } catch (error) {
      // Of a directory that was far above, something else may have the name by now.
      if (isErrno(error, "ENOENT", "ENOTDIR", "ELOOP")) return undefined;
      throw error;
    }
  }

  release(): void {
    if (this.#fd !== undefined && this.isOurs) close(this.#fd);
    if (this.isOurs) this.#fd = undefined;
  }
}
