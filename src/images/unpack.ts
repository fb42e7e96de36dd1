/**
 * Writes a layer's tar below a directory, and nowhere else: whatever the archive's names say, each
 * is made on the descriptor of a directory that was reached without a symbolic link (anchored.ts).
 * Whiteouts of the OCI image specification ("layer.md") become overlayfs' own.
 */
import { MydockerError } from "../errors.ts";
import { isErrno, SysError } from "../ffi/call.ts";
import { errnoText } from "../ffi/errno.ts";
import { removeTree } from "../linux/directory.ts";
import {
  AT_SYMLINK_NOFOLLOW,
  close,
  fsync,
  ftruncate,
  O,
  openat,
  seek,
  writeAll,
} from "../linux/fd.ts";
import {
  ifExists,
  link,
  mkdir,
  mknod,
  S_IFCHR,
  S_IFDIR,
  S_IFMT,
  type Stat,
  statAt,
  unlink,
} from "../linux/file.ts";
import { setTimesAt } from "../linux/file_metadata.ts";
import { AnchoredDirectories, placeOf, type Reach } from "./anchored.ts";
import { Metadata } from "./metadata.ts";
import { checkOwner, makeSpecial } from "./special.ts";
import type { TarEntry, TarSink } from "./tar_entry.ts";
import { quoteName, TarError } from "./tar_header.ts";

/** What whiteouts' names begin with ("layer.md", "Whiteouts"). */
export const WHITEOUT = ".wh.";
/** Notes of aufs to itself. */
export const WHITEOUT_META = ".wh..wh.";
/** Says that its directory hides what lower layers have there. */
export const WHITEOUT_OPAQUE = ".wh..wh..opq";

/** How a layer is written. */
export interface UnpackOptions {
  /** fsync(2) each file: for small layers, where syncfs(2) would wait for everybody's data. */
  readonly syncFiles?: boolean;
  /** Not a layer but a copy into a tree that is there. */
  readonly copy?: CopyOptions;
}

/** How files are copied into a tree, which others may be changing meanwhile. Whiteouts mean nothing. */
export interface CopyOptions {
  readonly reach: Exclude<Reach, { kind: "layer" }>;
  /** with `reach` of the kind `root` the directory to copy into, whose path `base` is */
  readonly base?: number;
  /** Files keep their owners; otherwise they are ours. */
  readonly owners: boolean;
}

/** What came of a layer. */
export interface Unpacked {
  /** Bytes of data in files. */
  readonly size: number;
  readonly entries: number;
  /** Extended attributes that the file system does not take. */
  readonly warnings: readonly string[];
}

const isDirectory = (stat: Stat) => (stat.mode & S_IFMT) === S_IFDIR;
const isWhiteout = (stat: Stat) =>
  (stat.mode & S_IFMT) === S_IFCHR && stat.rdevMajor === 0 && stat.rdevMinor === 0;

/** Takes a tar reader's members. Throws {@link TarError} for what it refuses, {@link MydockerError} for what fails. */
export class Unpacker implements TarSink {
  private readonly directories: AnchoredDirectories;
  private readonly metadata: Metadata;
  private readonly copy: CopyOptions | undefined;
  private readonly directoryTimes = new Map<
    string,
    readonly [seconds: number, nanoseconds: number]
  >();
  private file:
    | {
        readonly fd: number;
        readonly parent: number;
        readonly name: string;
        readonly entry: TarEntry;
      }
    | undefined;
  private position = 0;
  private size = 0;
  private entries = 0;

  /** @param root a directory's descriptor, which stays the caller's */
  constructor(
    private readonly root: number,
    private readonly options: UnpackOptions = {},
  ) {
    this.copy = options.copy;
    this.directories = this.anchored();
    this.metadata = new Metadata(this.copy?.owners, this.copy !== undefined);
  }

  private anchored(): AnchoredDirectories {
    return new AnchoredDirectories(this.root, this.copy?.reach, this.copy?.base);
  }

  entry(entry: TarEntry): void {
    this.guard(entry.path, () => this.make(entry));
    this.entries += 1;
  }

  data(bytes: Uint8Array, offset: number): void {
    const { file } = this;
    if (file === undefined) return;
    this.guard(file.entry.path, () => {
      if (offset !== this.position) seek(file.fd, offset);
      writeAll(file.fd, bytes);
    });
    this.position = offset + bytes.length;
    this.size += bytes.length;
  }

  endFile(): void {
    const { file } = this;
    if (file === undefined) return;
    const { fd, parent, name, entry } = file;
    this.guard(entry.path, () => {
      if (entry.size > this.position) ftruncate(fd, entry.size);
      this.metadata.setFile(fd, parent, name, entry);
      if (this.options.syncFiles === true) fsync(fd);
    });
    this.file = undefined;
    close(fd);
  }

  /** The archive is over: directories get their times, which making files in them has changed. */
  finish(): Unpacked {
    for (const [path, times] of this.directoryTimes)
      this.guard(path, () => setTimesAt(this.directories.open(path, false), ".", ...times));
    return { size: this.size, entries: this.entries, warnings: [...this.metadata.warnings] };
  }

  /** Closes what is open. */
  [Symbol.dispose](): void {
    if (this.file !== undefined) close(this.file.fd);
    this.file = undefined;
    this.directories.forget();
  }

  private guard(path: string, call: () => void): void {
    try {
      call();
    } catch (error) {
      if (error instanceof MydockerError) throw error;
      const why =
        error instanceof SysError
          ? `${error.syscall}: ${error.code}: ${errnoText(error.errno)}`
          : String(error);
      const what = this.copy === undefined ? "unpack" : "write";
      throw new MydockerError(`cannot ${what} ${quoteName(path)}: ${why}`, { cause: error });
    }
  }

  private make(entry: TarEntry): void {
    checkOwner(entry);
    const { directory, name } = placeOf(entry.path);
    const path = directory === "" ? name : `${directory}/${name}`;
    if (name === "" && entry.type !== "directory")
      throw new TarError(
        `the tar archive would replace the root directory: ${quoteName(entry.path)} is a ${entry.type}`,
      );
    if (name.startsWith(WHITEOUT) && !this.isDirectory(directory)) return;
    const parent = this.directories.open(directory, true);
    if (name.startsWith(WHITEOUT) && this.copy === undefined) this.whiteout(parent, name, entry);
    else if (entry.type === "directory") this.makeDirectory(parent, name, path, entry);
    else if (entry.type === "hardlink") this.makeHardLink(directory, name, path, entry);
    else if (entry.type === "file") {
      const flags = O.O_WRONLY | O.O_CREAT | O.O_EXCL | O.O_NOFOLLOW;
      const fd = this.replacing(parent, name, path, () =>
        openat(parent, name, flags, entry.mode & 0o777),
      );
      this.file = { fd, parent, name, entry };
      this.position = 0;
    } else {
      this.replacing(parent, name, path, () => makeSpecial(parent, name, entry));
      this.metadata.setSpecial(parent, name, entry);
    }
  }

  /**
   * Whether a path is a directory, or can become one. umoci writes whiteouts below what the layer
   * makes a link or a file: there is nothing for them to hide.
   */
  private isDirectory(path: string): boolean {
    try {
      this.directories.open(path, true);
      return true;
    } catch (error) {
      if (error instanceof TarError && isErrno(error.cause, "ELOOP", "ENOTDIR")) return false;
      throw error;
    }
  }

  private makeDirectory(parent: number, name: string, path: string, entry: TarEntry): void {
    if (name === "" && this.copy !== undefined) return; // what is copied into stays as it is
    const at = name === "" ? "." : name;
    let existed = name === "";
    if (!existed) {
      try {
        mkdir(name, entry.mode & 0o777, parent);
      } catch (error) {
        if (!isErrno(error, "EEXIST")) throw error;
        existed = this.clearForDirectory(parent, name, entry.mode & 0o777);
      }
    }
    this.metadata.setDirectory(parent, at, entry, existed);
    this.directoryTimes.set(path, [entry.mtime, entry.mtimeNanoseconds]);
  }

  /** @returns whether a directory was there before, and stays */
  private clearForDirectory(parent: number, name: string, mode: number): boolean {
    const found = statAt(parent, name, AT_SYMLINK_NOFOLLOW);
    if (isDirectory(found)) return true;
    if (this.copy !== undefined)
      throw new MydockerError(`cannot overwrite non-directory ${quoteName(name)} with a directory`);
    unlink(name, parent);
    mkdir(name, mode, parent);
    // The layer hides what the layers below have there, and has a directory of its own instead.
    if (isWhiteout(found)) this.metadata.makeOpaque(parent, name);
    return false;
  }

  private makeHardLink(directory: string, name: string, path: string, entry: TarEntry): void {
    const target = placeOf(entry.linkTarget);
    const targetPath = target.directory === "" ? target.name : `${target.directory}/${target.name}`;
    if (
      targetPath === path &&
      ifExists(() => statAt(this.directories.open(directory, false), name, AT_SYMLINK_NOFOLLOW)) !==
        undefined
    )
      return;
    try {
      if (target.name === "")
        throw new TarError(
          `the tar archive has a hard link to the root directory: ${quoteName(entry.path)}`,
        );
      const from = this.anchored();
      try {
        const fromDirectory = from.open(target.directory, false);
        // The target must be there before anything makes room for the link.
        statAt(fromDirectory, target.name, AT_SYMLINK_NOFOLLOW);
        const parent = this.directories.open(directory, true);
        this.replacing(parent, name, path, () => link(fromDirectory, target.name, parent, name));
      } finally {
        from.forget();
      }
    } catch (error) {
      if (!isErrno(error, "ENOENT")) throw error;
      throw new TarError(
        `the tar archive has a hard link ${quoteName(entry.path)} to ${quoteName(entry.linkTarget)}, which is not in it`,
        { cause: error },
      );
    }
  }

  private whiteout(parent: number, name: string, entry: TarEntry): void {
    if (name === WHITEOUT_OPAQUE) {
      this.metadata.makeOpaque(parent, ".");
      return;
    }
    // Notes of aufs to itself, e.g. .wh..wh.plnk.
    if (name.startsWith(WHITEOUT_META)) return;
    const hidden = name.slice(WHITEOUT.length);
    if (hidden === "" || hidden === "." || hidden === "..")
      throw new TarError(`the tar archive has a whiteout of nothing: ${quoteName(entry.path)}`);
    try {
      mknod(parent, hidden, S_IFCHR, 0, 0);
    } catch (error) {
      if (!isErrno(error, "EEXIST")) throw error;
      // A whiteout hides what is in lower layers only; what this layer has stays.
      if (isDirectory(statAt(parent, hidden, AT_SYMLINK_NOFOLLOW)))
        this.metadata.makeOpaque(parent, hidden);
    }
  }

  /** Makes something where something else may be: a later member replaces an earlier one. */
  private replacing<T>(parent: number, name: string, path: string, make: () => T): T {
    try {
      return make();
    } catch (error) {
      if (!isErrno(error, "EEXIST")) throw error;
    }
    const found = statAt(parent, name, AT_SYMLINK_NOFOLLOW);
    const isThere = isDirectory(found);
    // Of another mount namespace the kernel would take the mount away.
    if (this.copy !== undefined && found.isMountRoot)
      throw new MydockerError(`cannot write ${quoteName(path)}: something is mounted there`);
    if (isThere && this.copy !== undefined)
      throw new MydockerError(`cannot overwrite directory ${quoteName(path)} with a non-directory`);
    if (isThere)
      for (const directory of this.directoryTimes.keys())
        if (directory === path || directory.startsWith(`${path}/`))
          this.directoryTimes.delete(directory);
    removeTree(name, parent);
    return make();
  }
}
