/** Symbolic links, devices and FIFOs, and what the kernel's types can hold of an archive's numbers. */
import { mknod, S_IFBLK, S_IFCHR, S_IFIFO, symlink } from "../linux/file.ts";
import type { TarEntry } from "./tar_entry.ts";
import { quoteName, TarError } from "./tar_header.ts";

/** uid_t and gid_t are 32 bits, and the last value means "no change" to chown(2). */
const OWNER_LIMIT = 0xffff_ffff;
/** The kernel's dev_t (linux/kdev_t.h): 12 and 20 bits. */
const MAJOR_LIMIT = 1 << 12;
const MINOR_LIMIT = 1 << 20;

/** @throws {TarError} when chown(2) could not be told of it */
export function checkOwner({ uid, gid, path }: TarEntry): void {
  for (const id of [uid, gid])
    if (id < 0 || id >= OWNER_LIMIT)
      throw new TarError(
        `the tar archive has an owner ${uid}:${gid}, which is out of range: ${quoteName(path)}`,
      );
}

/** Makes a member that is no file, directory or hard link. @throws {TarError} for an impossible device */
export function makeSpecial(parent: number, name: string, entry: TarEntry): void {
  const { type, devMajor: major, devMinor: minor } = entry;
  const mode = entry.mode & 0o777;
  if (type === "symlink") symlink(entry.linkTarget, name, parent);
  else if (type === "fifo") mknod(parent, name, S_IFIFO | mode, 0, 0);
  else {
    if (major < 0 || major >= MAJOR_LIMIT || minor < 0 || minor >= MINOR_LIMIT)
      throw new TarError(
        `the tar archive has a device ${major}:${minor}, which is out of range: ${quoteName(entry.path)}`,
      );
    mknod(parent, name, (type === "block" ? S_IFBLK : S_IFCHR) | mode, major, minor);
  }
}
