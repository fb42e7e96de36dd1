/** Replays a rootfs plan in the container's mount namespace, before the pivot. Synchronous code only. */
import { isErrno, SysError } from "../ffi/call.ts";
import { AT_EMPTY_PATH, AT_FDCWD, close, fdPath } from "../linux/fd.ts";
import { chownAt, mknod, S_IFDIR, S_IFMT, statAt, symlink } from "../linux/file.ts";
import { cloneTree, MOUNT_ATTR, MS, mount, mountSetAttributes, moveMount } from "../linux/mount.ts";
import type { BindOp, MountOp } from "./plan.ts";
import {
  makeDirectoryInRoot,
  makeFileInRoot,
  openInRoot,
  openInRootIfExists,
  splitPath,
} from "./safe_path.ts";

/** Detached copies of the trees that are to be bound, by their operation. */
export type BindSources = ReadonlyMap<MountOp, number>;

/**
 * Copies the trees of all bind operations. Done before the mount namespace becomes private: a copy
 * that is made later could no longer receive mounts from the host, nor give any to it.
 * @throws {SysError} open_tree of the source
 */
export function cloneBindSources(ops: readonly MountOp[]): BindSources {
  const sources = new Map<MountOp, number>();
  for (const op of ops) {
    if (op.op === "bind") sources.set(op, cloneTree(AT_FDCWD, op.source, op.recursive));
  }
  return sources;
}

/** Applies the operations in order to the root that `rootFd` names. The sources are closed. */
export function applyRootfs(rootFd: number, ops: readonly MountOp[], sources: BindSources): void {
  using nodes = new NodeMaker(rootFd);
  for (const op of ops) {
    switch (op.op) {
      case "mount":
        mountFresh(rootFd, op);
        break;
      case "bind":
        attachBind(rootFd, op, sources.get(op) as number);
        break;
      case "device":
        nodes.device(op);
        break;
      case "symlink":
        nodes.symlink(op);
        break;
      case "attributes":
        onTarget(openInRoot(rootFd, op.target), (fd) => mountSetAttributes(fd, { set: op.set }));
        break;
      case "readonly":
        onExisting(rootFd, op.target, (fd) => {
          const tree = cloneTree(fd, "", true);
          mountSetAttributes(tree, { set: MOUNT_ATTR.MOUNT_ATTR_RDONLY, recursive: true });
          moveMount(tree, fd, op.target);
          close(tree);
        });
        break;
      case "mask":
        onExisting(rootFd, op.target, (fd) => mask(fd, op.target));
        break;
    }
  }
}

function mountFresh(rootFd: number, op: MountOp & { op: "mount" }): void {
  // An image in which /proc or /sys is a link would have us mount them elsewhere and then trust
  // what lies at the names (CVE-2019-16884, CVE-2023-28642).
  const trusted = op.type === "proc" || op.type === "sysfs";
  onTarget(openTarget(rootFd, op.target, trusted), (fd) => {
    try {
      mount(op.source, fdPath(fd), op.type, op.flags, op.data === "" ? undefined : op.data);
    } catch (error) {
      throw naming(error, op.target);
    }
  });
}

function openTarget(rootFd: number, target: string, trusted: boolean): number {
  try {
    return makeDirectoryInRoot(rootFd, target, { followLinks: !trusted });
  } catch (error) {
    if (!isErrno(error, "ELOOP", "ENOTDIR", "EXDEV")) throw error;
    const why = `${target} of the image is no directory, or leads through a symbolic link`;
    throw new Error(`${why}: nothing can be mounted there`, { cause: error });
  }
}

/** The same error with the path in the container instead of a descriptor's. */
function naming(error: unknown, target: string): unknown {
  if (!(error instanceof SysError)) return error;
  return new SysError(error.syscall, { ...error.args, on: target }, error.errno);
}

function attachBind(rootFd: number, op: BindOp, tree: number): void {
  try {
    mountSetAttributes(tree, { set: op.set, propagation: op.propagation, recursive: true });
    const directory = (statAt(tree, "", AT_EMPTY_PATH).mode & S_IFMT) === S_IFDIR;
    const target = directory
      ? makeDirectoryInRoot(rootFd, op.target)
      : makeFileInRoot(rootFd, op.target);
    onTarget(target, (fd) => moveMount(tree, fd, op.target));
  } finally {
    close(tree);
  }
}

function mask(fd: number, target: string): void {
  if ((statAt(fd, "", AT_EMPTY_PATH).mode & S_IFMT) === S_IFDIR) {
    mount("tmpfs", fdPath(fd), "tmpfs", MS.MS_RDONLY, "size=0k");
    return;
  }
  // The host's /dev/null, which no image can have replaced (CVE-2025-31133).
  const nothing = cloneTree(AT_FDCWD, "/dev/null", false);
  // Read-only: its mode and owner are not for a container to change.
  mountSetAttributes(nothing, { set: MOUNT_ATTR.MOUNT_ATTR_RDONLY });
  moveMount(nothing, fd, target);
  close(nothing);
}

/** Makes device nodes and links; those of one directory come together, so it is held open. */
class NodeMaker implements Disposable {
  #directory: { readonly path: string; readonly fd: number } | undefined;

  constructor(readonly rootFd: number) {}

  device(op: MountOp & { op: "device" }): void {
    const { directory, name } = this.#locate(op.path);
    try {
      mknod(directory, name, op.mode, op.major, op.minor);
    } catch (error) {
      if (!isErrno(error, "EEXIST")) throw error;
      // Something was mounted there on purpose, such as a device of the host.
      const { mode, rdevMajor, rdevMinor } = statAt(directory, name);
      const same = rdevMajor === op.major && rdevMinor === op.minor;
      if ((mode & S_IFMT) !== (op.mode & S_IFMT) || !same) throw error;
      return;
    }
    if (op.uid !== 0 || op.gid !== 0) chownAt(directory, name, op.uid, op.gid);
  }

  symlink(op: MountOp & { op: "symlink" }): void {
    const { directory, name } = this.#locate(op.path);
    try {
      symlink(op.to, name, directory);
    } catch (error) {
      if (!isErrno(error, "EEXIST")) throw error;
    }
  }

  #locate(path: string): { directory: number; name: string } {
    const { parent, name } = splitPath(path);
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

function onTarget(fd: number, act: (fd: number) => void): void {
  try {
    act(fd);
  } finally {
    close(fd);
  }
}

/** Acts on a path if it is there; masked and read-only paths that a kernel lacks need nothing. */
function onExisting(rootFd: number, path: string, act: (fd: number) => void): void {
  const fd = openInRootIfExists(rootFd, path);
  if (fd !== undefined) onTarget(fd, act);
}
