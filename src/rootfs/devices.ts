/** Device nodes and links of a container's /dev. Synchronous code only. */
import { isErrno } from "../ffi/call.ts";
import { AT_FDCWD, AT_SYMLINK_NOFOLLOW, close } from "../linux/fd.ts";
import {
  chownAt,
  mknod,
  S_IFBLK,
  S_IFCHR,
  S_IFIFO,
  S_IFMT,
  type Stat,
  statAt,
  statFd,
  symlink,
} from "../linux/file.ts";
import { cloneTree, MS, mountSetAttributes, moveMount } from "../linux/mount.ts";
import type { OwnMounts } from "./own_mounts.ts";
import type { DeviceOp, MountOp } from "./plan.ts";
import { explain, RootfsError } from "./rootfs_error.ts";
import { makeDirectoryInRoot, makeFileInRoot, splitPath } from "./safe_path.ts";

const TYPES = { c: S_IFCHR, b: S_IFBLK, p: S_IFIFO } as const;

/** Whether a file is this device. */
export function isNode(
  file: Stat,
  device: { readonly type: keyof typeof TYPES; readonly major: number; readonly minor: number },
): boolean {
  if ((file.mode & S_IFMT) !== TYPES[device.type]) return false;
  if (device.type === "p") return true;
  return file.rdevMajor === device.major && file.rdevMinor === device.minor;
}

/** Makes device nodes and links; those of one directory come together, so it is held open. */
export class NodeMaker implements Disposable {
  #directory: { readonly path: string; readonly fd: number } | undefined;

  constructor(
    readonly rootFd: number,
    readonly own: OwnMounts,
  ) {}

  /** @throws {RootfsError} */
  device(op: DeviceOp): void {
    try {
      const { directory, name } = this.#locate(op.path);
      try {
        mknod(directory, name, op.mode, op.major, op.minor);
      } catch (error) {
        if (isErrno(error, "EPERM")) return this.#bindFromHost(op);
        if (!isErrno(error, "EEXIST")) throw error;
        // Of the image, or mounted on purpose. By itself, not by what a link leads to (CVE-2025-31133).
        if (isNode(statAt(directory, name, AT_SYMLINK_NOFOLLOW), nodeOf(op))) return;
        throw new RootfsError(`make ${op.path}: something else has that name`, { cause: error });
      }
      if (op.uid !== 0 || op.gid !== 0) chownAt(directory, name, op.uid, op.gid);
    } catch (error) {
      throw explain(error, `make ${op.path}`);
    }
  }

  /** Something that has the name already stays. @throws {RootfsError} */
  symlink(op: MountOp & { op: "symlink" }): void {
    try {
      const { directory, name } = this.#locate(op.path);
      symlink(op.to, name, directory);
    } catch (error) {
      if (!isErrno(error, "EEXIST")) throw explain(error, `make ${op.path}`);
    }
  }

  /** In a user namespace no device can be made: the host's own node is shown instead. */
  #bindFromHost(op: DeviceOp): void {
    const { path } = op;
    const tree = cloneTree(AT_FDCWD, path, false);
    try {
      if (!isNode(statFd(tree), nodeOf(op)))
        throw new RootfsError(`make ${path}: not permitted, and the host's ${path} is another`);
      mountSetAttributes(tree, { propagation: MS.MS_PRIVATE });
      const target = makeFileInRoot(this.rootFd, path);
      try {
        moveMount(tree, target, path);
      } finally {
        close(target);
      }
    } finally {
      close(tree);
    }
  }

  #locate(path: string): { directory: number; name: string } {
    const { parent, name } = splitPath(path);
    const root = this.own.root(parent);
    if (root !== undefined) return { directory: root, name };
    if (this.#directory?.path !== parent) {
      this[Symbol.dispose]();
      this.#directory = { path: parent, fd: makeDirectoryInRoot(this.rootFd, parent) };
    }
    return { directory: this.#directory.fd, name };
  }

  [Symbol.dispose](): void {
    if (this.#directory !== undefined) close(this.#directory.fd);
    this.#directory = undefined;
  }
}

const nodeOf = ({ mode, major, minor }: DeviceOp) => {
  const kind = mode & S_IFMT;
  const type = kind === S_IFIFO ? "p" : kind === S_IFBLK ? "b" : "c";
  return { type, major, minor } as const;
};
