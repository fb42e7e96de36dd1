/** Owner, mode, extended attributes and times of what is unpacked, in the order that lets none undo another. */
import { isErrno } from "../ffi/call.ts";
import { AT_EMPTY_PATH } from "../linux/fd.ts";
import { chownAt } from "../linux/file.ts";
import { chmodNoFollow, fchmod, setTimesAt } from "../linux/file_metadata.ts";
import { umask } from "../linux/process.ts";
import { setXattr } from "../linux/xattr.ts";
import type { TarEntry } from "./tar_entry.ts";
import { quoteName } from "./tar_header.ts";

/** Names that overlayfs believes (Documentation/filesystems/overlayfs.rst): an image may not speak to it. */
export const OVERLAY_XATTR = /^(?:trusted|user)\.overlay\./;
/** Its value is `y`. */
export const OPAQUE_XATTR = "trusted.overlay.opaque";

/**
 * Sets what an archive says of its members. Calls that would change nothing are left out: what root
 * makes is root's, and has the mode that it is made with except for the bits that umask takes.
 */
export class Metadata {
  private readonly umask: number;
  /** Some directory hands its group on to what is made in it, so new files need not be root's. */
  private inheritedGroup = false;
  /** Extended attributes that the file system does not take, a line each. */
  readonly warnings = new Set<string>();

  /**
   * @param owners whether files belong to whom the archive says, and not to us
   * @param isForeign whether there are directories that we did not make, with groups to hand on
   */
  constructor(
    private readonly owners = true,
    isForeign = false,
  ) {
    this.inheritedGroup = isForeign;
    this.umask = umask(0o022);
    umask(this.umask);
  }

  /** Of a file that is open for writing. */
  setFile(fd: number, parent: number, name: string, entry: TarEntry): void {
    if (this.mustChown(entry)) chownAt(fd, "", entry.uid, entry.gid, AT_EMPTY_PATH);
    if (this.mustChmod(entry)) fchmod(fd, entry.mode);
    this.setXattrs(parent, name, entry);
    setTimesAt(parent, name, entry.mtime, entry.mtimeNanoseconds);
  }

  /** Of a symbolic link, device or FIFO. */
  setSpecial(parent: number, name: string, entry: TarEntry): void {
    if (this.mustChown(entry)) chownAt(parent, name, entry.uid, entry.gid);
    if (entry.type !== "symlink" && this.mustChmod(entry)) chmodNoFollow(parent, name, entry.mode);
    this.setXattrs(parent, name, entry);
    setTimesAt(parent, name, entry.mtime, entry.mtimeNanoseconds);
  }

  /** Of a directory, but for its times, which making files in it changes. @param existed it may have others' */
  setDirectory(parent: number, name: string, entry: TarEntry, existed: boolean): void {
    if ((existed && this.owners) || this.mustChown(entry))
      chownAt(parent, name, entry.uid, entry.gid);
    if (existed || this.mustChmod(entry)) chmodNoFollow(parent, name, entry.mode);
    if ((entry.mode & 0o2000) !== 0) this.inheritedGroup = true;
    this.setXattrs(parent, name, entry);
  }

  /** Makes a directory hide all that lower layers have there. */
  makeOpaque(parent: number, name: string): void {
    setXattr(pathOf(parent, name), OPAQUE_XATTR, Uint8Array.of(0x79)); // "y"
  }

  private mustChown(entry: TarEntry): boolean {
    return this.owners && (this.inheritedGroup || entry.uid !== 0 || entry.gid !== 0);
  }

  private mustChmod(entry: TarEntry): boolean {
    const plain = (entry.mode & ~0o777) === 0 && (entry.mode & this.umask) === 0;
    // A directory made in one with the setgid bit has that bit, too.
    return !plain || this.inheritedGroup;
  }

  private setXattrs(parent: number, name: string, entry: TarEntry): void {
    for (const [xattr, value] of entry.xattrs) {
      if (OVERLAY_XATTR.test(xattr)) continue;
      try {
        setXattr(pathOf(parent, name), xattr, value);
      } catch (error) {
        // Not every file system has every kind, and user.* is for files and directories only (xattr(7)).
        if (!isErrno(error, "EOPNOTSUPP", "EPERM")) throw error;
        this.warnings.add(`${quoteName(entry.path)} loses its attribute ${xattr}`);
      }
    }
  }
}

/** setxattr(2) has no form that takes a directory; the link in /proc is the directory itself. */
function pathOf(parent: number, name: string): string {
  return `/proc/self/fd/${parent}/${name}`;
}
