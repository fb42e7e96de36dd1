/**
 * Writes a layer's tar below a directory, and nowhere else: whatever the archive's names say, each
 * is made on the descriptor of a directory that was reached without a symbolic link (anchored.ts).
 * Whiteouts of the OCI image specification ("layer.md") become overlayfs' own.
 */
import { MydockerError } from "../errors.ts";
import { isErrno } from "../ffi/call.ts";
import {
  AT_EMPTY_PATH,
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
  chmodAt,
  chownAt,
  fchmod,
  ifExists,
  link,
  mkdir,
  mknod,
  removeTree,
  S_IFBLK,
  S_IFCHR,
  S_IFDIR,
  S_IFIFO,
  S_IFMT,
  type Stat,
  setTimesAt,
  setXattr,
  statAt,
  symlink,
  unlink,
} from "../linux/file.ts";
import { umask } from "../linux/process.ts";
import { AnchoredDirectories, placeOf } from "./anchored.ts";
import type { TarEntry, TarSink } from "./tar.ts";
import { TarError } from "./tar_header.ts";

const WHITEOUT = ".wh.";
const WHITEOUT_META = ".wh..wh.";
const WHITEOUT_OPAQUE = ".wh..wh..opq";
/** Names that overlayfs believes (Documentation/filesystems/overlayfs.rst): an image may not speak to it. */
const OVERLAY_XATTR = /^(?:trusted|user)\.overlay\./;
const OPAQUE_XATTR = "trusted.overlay.opaque";
/** uid_t and gid_t are 32 bits, and the last value means "no change" to chown(2). */
const OWNER_LIMIT = 0xffff_ffff;
/** makedev(3) of the kernel: 12 and 20 bits. */
const MAJOR_LIMIT = 1 << 12;
const MINOR_LIMIT = 1 << 20;

export interface UnpackOptions {
  /** fsync(2) each file: for small layers, where syncfs(2) would wait for everybody's data. */
  readonly syncFiles?: boolean;
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
  private readonly umask: number;
  /** Set once a directory hands its group on to what is made in it. */
  private setgid = false;
  private readonly directoryTimes = new Map<string, TarEntry>();
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
  private readonly warnings = new Set<string>();

  /** @param root a directory's descriptor, which stays the caller's */
  constructor(
    private readonly root: number,
    private readonly options: UnpackOptions = {},
  ) {
    this.directories = new AnchoredDirectories(root);
    this.umask = umask(0o022);
    umask(this.umask);
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
      if (this.mustChown(entry)) chownAt(fd, "", entry.uid, entry.gid, AT_EMPTY_PATH);
      if (this.mustChmod(entry)) fchmod(fd, entry.mode);
      this.setXattrs(parent, name, entry);
      setTimesAt(parent, name, entry.mtime, entry.mtimeNanoseconds);
      if (this.options.syncFiles === true) fsync(fd);
    });
    this.file = undefined;
    close(fd);
  }

  /** The archive is over: directories get their times, which making files in them has changed. */
  finish(): Unpacked {
    for (const [path, entry] of this.directoryTimes)
      this.guard(entry.path, () =>
        setTimesAt(this.directories.open(path, false), ".", entry.mtime, entry.mtimeNanoseconds),
      );
    return { size: this.size, entries: this.entries, warnings: [...this.warnings] };
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
      if (error instanceof TarError) throw error;
      throw new MydockerError(
        `cannot unpack ${JSON.stringify(path)}: ${error instanceof Error ? error.message : error}`,
        { cause: error },
      );
    }
  }

  private make(entry: TarEntry): void {
    if (![entry.uid, entry.gid].every((id) => id >= 0 && id < OWNER_LIMIT))
      throw new TarError(
        `the tar archive has an owner ${entry.uid}:${entry.gid}, which is out of range: ${JSON.stringify(entry.path)}`,
      );
    const { directory, name } = placeOf(entry.path);
    const path = directory === "" ? name : `${directory}/${name}`;
    if (name === "" && entry.type !== "directory")
      throw new TarError(
        `the tar archive would replace the root directory: ${JSON.stringify(entry.path)} is a ${entry.type}`,
      );
    const parent = this.directories.open(directory, true);
    if (name.startsWith(WHITEOUT)) this.whiteout(parent, name, entry);
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
      this.replacing(parent, name, path, () => this.makeSpecial(parent, name, entry));
      if (this.mustChown(entry)) chownAt(parent, name, entry.uid, entry.gid);
      if (entry.type !== "symlink" && this.mustChmod(entry)) chmodAt(parent, name, entry.mode);
      this.setXattrs(parent, name, entry);
      setTimesAt(parent, name, entry.mtime, entry.mtimeNanoseconds);
    }
  }

  private makeSpecial(parent: number, name: string, entry: TarEntry): void {
    if (entry.type === "symlink") {
      symlink(entry.linkTarget, name, parent);
      return;
    }
    const mode = entry.mode & 0o777;
    if (entry.type === "fifo") {
      mknod(parent, name, S_IFIFO | mode, 0, 0);
      return;
    }
    const { devMajor: major, devMinor: minor } = entry;
    if (major < 0 || major >= MAJOR_LIMIT || minor < 0 || minor >= MINOR_LIMIT)
      throw new TarError(
        `the tar archive has a device ${major}:${minor}, which is out of range: ${JSON.stringify(entry.path)}`,
      );
    mknod(parent, name, (entry.type === "block" ? S_IFBLK : S_IFCHR) | mode, major, minor);
  }

  private makeDirectory(parent: number, name: string, path: string, entry: TarEntry): void {
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
    if (existed || this.mustChown(entry)) chownAt(parent, at, entry.uid, entry.gid);
    if (existed || this.mustChmod(entry)) chmodAt(parent, at, entry.mode);
    if ((entry.mode & 0o2000) !== 0) this.setgid = true;
    this.setXattrs(parent, at, entry);
    this.directoryTimes.set(path, entry);
  }

  /** @returns whether a directory was there before, and stays */
  private clearForDirectory(parent: number, name: string, mode: number): boolean {
    const found = statAt(parent, name, AT_SYMLINK_NOFOLLOW);
    if (isDirectory(found)) return true;
    unlink(name, parent);
    mkdir(name, mode, parent);
    // The layer hides what the layers below have there, and has a directory of its own instead.
    if (isWhiteout(found)) this.makeOpaque(parent, name);
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
          `the tar archive has a hard link to the root directory: ${JSON.stringify(entry.path)}`,
        );
      const from = new AnchoredDirectories(this.root);
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
        `the tar archive has a hard link ${JSON.stringify(entry.path)} to ${JSON.stringify(entry.linkTarget)}, which is not in it`,
        { cause: error },
      );
    }
  }

  private whiteout(parent: number, name: string, entry: TarEntry): void {
    if (name === WHITEOUT_OPAQUE) {
      this.makeOpaque(parent, ".");
      return;
    }
    // Notes of aufs to itself, e.g. .wh..wh.plnk.
    if (name.startsWith(WHITEOUT_META)) return;
    const hidden = name.slice(WHITEOUT.length);
    if (hidden === "" || hidden === "." || hidden === "..")
      throw new TarError(
        `the tar archive has a whiteout of nothing: ${JSON.stringify(entry.path)}`,
      );
    try {
      mknod(parent, hidden, S_IFCHR, 0, 0);
    } catch (error) {
      if (!isErrno(error, "EEXIST")) throw error;
      // A whiteout hides what is in lower layers only; what this layer has stays.
      if (isDirectory(statAt(parent, hidden, AT_SYMLINK_NOFOLLOW))) this.makeOpaque(parent, hidden);
    }
  }

  private makeOpaque(parent: number, name: string): void {
    setXattr(this.pathOf(parent, name), OPAQUE_XATTR, Uint8Array.of(0x79));
  }

  /** Makes something where something else may be: a later member replaces an earlier one. */
  private replacing<T>(parent: number, name: string, path: string, make: () => T): T {
    try {
      return make();
    } catch (error) {
      if (!isErrno(error, "EEXIST")) throw error;
    }
    if (isDirectory(statAt(parent, name, AT_SYMLINK_NOFOLLOW)))
      for (const directory of this.directoryTimes.keys())
        if (directory === path || directory.startsWith(`${path}/`))
          this.directoryTimes.delete(directory);
    removeTree(name, parent);
    return make();
  }

  private mustChown(entry: TarEntry): boolean {
    return this.setgid || entry.uid !== 0 || entry.gid !== 0;
  }

  private mustChmod(entry: TarEntry): boolean {
    return (entry.mode & ~0o777) !== 0 || (entry.mode & this.umask) !== 0;
  }

  private setXattrs(parent: number, name: string, entry: TarEntry): void {
    for (const [xattr, value] of entry.xattrs) {
      if (OVERLAY_XATTR.test(xattr)) continue;
      try {
        setXattr(this.pathOf(parent, name), xattr, value);
      } catch (error) {
        // Not every file system has every kind, and user.* is for files and directories only (xattr(7)).
        if (!isErrno(error, "EOPNOTSUPP", "EPERM")) throw error;
        this.warnings.add(`${JSON.stringify(entry.path)} loses ${xattr}: ${error.message}`);
      }
    }
  }

  /** setxattr(2) has no form that takes a directory; the link in /proc is the directory itself. */
  private pathOf(parent: number, name: string): string {
    return `/proc/self/fd/${parent}/${name}`;
  }
}
