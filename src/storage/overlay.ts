/** A container's root file system: its own layer on top of an image's, stacked by overlayfs. */

import { MydockerError } from "../errors.ts";
import { isErrno } from "../ffi/call.ts";
import { mkdir, readFile } from "../linux/file.ts";
import { fileSystemMagic } from "../linux/mount.ts";

/** Makes the directories of a container's own layer. */
export function createUpperLayer(directory: string): void {
  mkdir(`${directory}/upper`, 0o755);
  mkdir(`${directory}/work`, 0o700);
}

/**
 * Mount options, in pieces: text, and directories that whoever mounts opens and names by descriptor.
 * So a comma, a colon or a newline in a path means nothing, and many layers fit into the page that
 * mount(2) takes. They have to be opened in the mount namespace that the overlay is mounted in.
 */
export type OptionPiece =
  | string
  | {
      readonly directory: string;
      /** what has to be of one mount with others; absent: the directory by itself */
      readonly mount?: string;
    };

/**
 * The options of an overlay. Pure.
 * @param lower absolute paths, the lowest first
 * @param directory where {@link createUpperLayer} was
 */
export function planOverlay(lower: readonly string[], directory: string): OptionPiece[] {
  const pieces = planLower(lower);
  pieces.push(",upperdir=", { directory: `${directory}/upper`, mount: directory });
  pieces.push(",workdir=", { directory: `${directory}/work`, mount: directory });
  return pieces;
}

/** The options of an overlay that nothing can be written to; of two layers at least (overlayfs wants that). Pure. */
export function planLower(lower: readonly string[]): OptionPiece[] {
  const pieces: OptionPiece[] = ["lowerdir="];
  // overlayfs wants the highest first.
  for (let index = lower.length - 1; index >= 0; index--) {
    pieces.push({ directory: lower[index] as string });
    if (index > 0) pieces.push(":");
  }
  return pieces;
}

// linux/magic.h
const OVERLAYFS_SUPER_MAGIC = 0x794c7630;
const MAGIC: Readonly<Record<number, string>> = {
  [OVERLAYFS_SUPER_MAGIC]: "overlayfs",
  26985 /* 0x6969 */: "NFS",
  1702057286 /* 0x65735546 */: "FUSE",
  4283649346 /* 0xff534d42 */: "CIFS",
  16914836 /* 0x01021994 */: "tmpfs",
  19780 /* 0x4d44 */: "FAT",
};

/**
 * What a file system is called whose directories overlayfs takes for no container's layer, by its
 * magic number. Of FUSE some would do.
 */
export function unfitForLayers(magic: number): string | undefined {
  const kind = MAGIC[magic >>> 0];
  return kind === "tmpfs" ? undefined : kind;
}

/**
 * What stands in the way of an overlay whose mount failed, if that can be told: the kernel says no
 * more than EINVAL or ENODEV.
 * @param directory where the container's own layer is
 */
export function explainOverlay(
  directory: string,
  lower: readonly string[],
): MydockerError | undefined {
  if (!readFile("/proc/filesystems").includes("\toverlay\n")) {
    return new MydockerError("this kernel has no overlay file system", {
      hint: "load it with `modprobe overlay`, or use a kernel that is built with CONFIG_OVERLAY_FS",
    });
  }
  const kind = unfitForLayers(fileSystemMagic(`${directory}/upper`));
  if (kind !== undefined) {
    return new MydockerError(`a container's layer cannot be on ${kind}: ${directory}`, {
      hint: "overlayfs needs a local file system with extended attributes for it, such as ext4, xfs, btrfs or tmpfs: set MYDOCKER_ROOT to a folder on one",
    });
  }
  for (const path of lower) {
    try {
      if (MAGIC[fileSystemMagic(path) >>> 0] === "FAT") {
        return new MydockerError(`overlayfs cannot stack on FAT: ${path}`);
      }
    } catch (error) {
      if (!isErrno(error, "ENOENT")) throw error;
      return new MydockerError(`a layer is missing: ${path}`);
    }
  }
  return undefined;
}
