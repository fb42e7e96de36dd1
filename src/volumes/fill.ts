/**
 * An empty volume gets what the image has at the place where it is mounted. The copy is made aside;
 * a rename says that it is complete; then its entries are moved into the volume one by one, and
 * whoever comes after one that was killed in between moves the rest. So a volume is never half full
 * of an image, and what containers write into it meanwhile is never lost.
 *
 *   fill/entries/…   what is to be moved
 *   fill             has the owner, the mode, the attributes and the time that the volume's directory gets
 */
import { MydockerError } from "../errors.ts";
import { SysError } from "../ffi/call.ts";
import { errnoText } from "../ffi/errno.ts";
import { readDirectory, removeTree } from "../linux/directory.ts";
import { close, O, open, syncfs } from "../linux/fd.ts";
import { ifExists, mkdir, rename } from "../linux/file.ts";
import { renameIfFree } from "../linux/replace_file.ts";
import { copyAttributes, copyEntries } from "../rootfs/copy_up.ts";
import { openInRootIfExists } from "../rootfs/safe_path.ts";

/** What a volume is filled with. */
export interface FillSource {
  /** a descriptor of the image's root */
  readonly root: number;
  /** where in it, absolute */
  readonly path: string;
}

/**
 * Makes the copy, if the image has a directory there.
 * @param aside a directory on the volume's file system that does not exist yet
 * @param durable whether it is to survive a power failure
 * @returns whether there is a copy
 * @throws {MydockerError} when there is no room for it
 */
export function copyAside({ root, path }: FillSource, aside: string, durable: boolean): boolean {
  const source = ifExists(() => openInRootIfExists(root, path, O.O_DIRECTORY));
  if (source === undefined) return false;
  try {
    mkdir(aside, 0o700);
    mkdir(`${aside}/entries`, 0o700);
    withDirectory(aside, (whole) => {
      withDirectory(`${aside}/entries`, (entries) => copyEntries(source, entries));
      copyAttributes(source, whole);
      if (durable) syncfs(whole);
    });
    return true;
  } catch (cause) {
    if (!(cause instanceof SysError)) throw cause;
    throw new MydockerError(`cannot copy ${path} of the image: ${errnoText(cause.errno)}`, {
      exitCode: 125,
      cause,
    });
  } finally {
    close(source);
  }
}

/** Moves a copy into the volume. Of two files of a name, the one that is there stays. */
export function moveIn(copy: string, data: string): void {
  withDirectory(data, (to) => {
    ifExists(() =>
      withDirectory(`${copy}/entries`, (from) => {
        for (const name of readDirectory(".", from)) renameIfFree(from, name, to, name);
      }),
    );
    withDirectory(copy, (whole) => copyAttributes(whole, to));
  });
  removeTree(copy);
}

/** Says that a copy is complete. */
export function commit(aside: string, copy: string): void {
  rename(aside, copy);
}

function withDirectory(path: string, act: (fd: number) => void): void {
  const fd = open(path, O.O_RDONLY | O.O_DIRECTORY | O.O_NOFOLLOW);
  try {
    act(fd);
  } finally {
    close(fd);
  }
}
