/** A container's own layer on disk, beside those of its image. */
import { isErrno } from "../ffi/call.ts";
import { close, O, openat2IfExists, RESOLVE } from "../linux/fd.ts";
import { S_IFDIR, S_IFMT, S_IFREG, type Stat } from "../linux/file.ts";
import type { ContainerRecord } from "./container_record.ts";
import type { FoundContainer } from "./lifecycle_process.ts";
import { openRoot } from "./volumes.ts";

const BENEATH =
  RESOLVE.RESOLVE_BENEATH | RESOLVE.RESOLVE_NO_SYMLINKS | RESOLVE.RESOLVE_NO_MAGICLINKS;

/** Directories, and empty files, that a container is given to mount on: no change of its own (moby: daemon/initlayer). */
const MOUNT_POINTS: ReadonlyMap<string, number> = new Map([
  ["dev", S_IFDIR],
  ["proc", S_IFDIR],
  ["sys", S_IFDIR],
  ["dev/console", S_IFREG],
  ["dev/pts", S_IFDIR],
  ["dev/shm", S_IFDIR],
  ["etc/hostname", S_IFREG],
  ["etc/hosts", S_IFREG],
  ["etc/resolv.conf", S_IFREG],
]);

/** The layer, and what is below it. */
export class OwnLayer implements Disposable {
  readonly path: string;
  /** O_PATH, of what the layers below show together */
  readonly below: number;

  constructor({ paths, store, id }: FoundContainer, { layers }: ContainerRecord) {
    this.path = `${store.directory(id)}/upper`;
    this.below = openRoot(paths, layers);
  }

  /** Whether something is there because a container was given a place to mount on. */
  isMountPoint(path: string, { mode, size }: Stat): boolean {
    const kind = MOUNT_POINTS.get(path);
    if (kind === undefined || (mode & S_IFMT) !== kind) return false;
    if (kind !== S_IFDIR && size !== 0) return false;
    return withItem(this.below, path, () => true) === undefined;
  }

  [Symbol.dispose](): void {
    close(this.below);
  }
}

/** Does something with what is at a path without a leading slash, if there is anything. No link is followed. */
export function withItem<T>(root: number, path: string, use: (fd: number) => T): T | undefined {
  let fd: number | undefined;
  try {
    fd = openat2IfExists(root, path === "" ? "." : path, O.O_PATH | O.O_NOFOLLOW, BENEATH);
  } catch (error) {
    if (!isErrno(error, "ELOOP")) throw error; // a link in the place of a directory
  }
  if (fd === undefined) return undefined;
  try {
    return use(fd);
  } finally {
    close(fd);
  }
}
