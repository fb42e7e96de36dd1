/** Replays a rootfs plan in the container's mount namespace, before the pivot. Synchronous code only. */
import { isErrno } from "../ffi/call.ts";
import { AT_FDCWD, close } from "../linux/fd.ts";
import { chmodAt, mknod, S_IFDIR, S_IFMT, statAt, symlink } from "../linux/file.ts";
import { cloneTree, MOUNT_ATTR, MS, mount, mountSetAttributes, moveMount } from "../linux/mount.ts";
import type { MountOp } from "./plan.ts";
import { makeDirectoryInRoot, makeFileInRoot, openInRoot } from "./safe_path.ts";

const AT_EMPTY_PATH = 0x1000;

/** Applies the operations in order to the root that `rootFd` names. */
export function applyRootfs(rootFd: number, ops: readonly MountOp[]): void {
  for (const op of ops) applyOne(rootFd, op);
}

function applyOne(rootFd: number, op: MountOp): void {
  switch (op.op) {
    case "mount":
      return onTarget(makeDirectoryInRoot(rootFd, op.target), (fd) => mountFresh(op, fd));
    case "bind":
      return bind(rootFd, op);
    case "device":
      return inParent(rootFd, op.path, (directory, name) => {
        mknod(directory, name, op.mode, op.major, op.minor);
        chmodAt(directory, name, op.mode & 0o7777);
      });
    case "symlink":
      return inParent(rootFd, op.path, (directory, name) => {
        try {
          symlink(op.to, name, directory);
        } catch (error) {
          if (!isErrno(error, "EEXIST")) throw error;
        }
      });
    case "readonly":
      return onExisting(rootFd, op.target, (fd) => {
        const tree = cloneTree(fd, "", true);
        mountSetAttributes(tree, { set: MOUNT_ATTR.MOUNT_ATTR_RDONLY, recursive: true });
        moveMount(tree, fd, op.target);
        close(tree);
      });
    case "mask":
      return onExisting(rootFd, op.target, (fd) => {
        if ((statAt(fd, "", AT_EMPTY_PATH).mode & S_IFMT) === S_IFDIR) {
          mount("tmpfs", `/proc/self/fd/${fd}`, "tmpfs", MS.MS_RDONLY, "size=0k");
        } else {
          const nothing = cloneTree(AT_FDCWD, "/dev/null", false); // the host's, which no image can replace
          moveMount(nothing, fd, op.target);
          close(nothing);
        }
      });
  }
}

function mountFresh(op: MountOp & { op: "mount" }, target: number): void {
  const to = `/proc/self/fd/${target}`;
  mount(op.source, to, op.type, op.flags, op.data);
}

function bind(rootFd: number, op: MountOp & { op: "bind" }): void {
  const tree = cloneTree(AT_FDCWD, op.source, op.recursive);
  try {
    if (op.set !== 0) mountSetAttributes(tree, { set: op.set, recursive: true });
    mountSetAttributes(tree, { propagation: op.propagation, recursive: op.recursive });
    const directory = (statAt(tree, "", AT_EMPTY_PATH).mode & S_IFMT) === S_IFDIR;
    const target = directory
      ? makeDirectoryInRoot(rootFd, op.target)
      : makeFileInRoot(rootFd, op.target);
    onTarget(target, (fd) => moveMount(tree, fd, op.target));
  } finally {
    close(tree);
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
  let fd: number;
  try {
    fd = openInRoot(rootFd, path);
  } catch (error) {
    if (isErrno(error, "ENOENT", "ENOTDIR")) return;
    throw error;
  }
  onTarget(fd, act);
}

function inParent(
  rootFd: number,
  path: string,
  act: (directory: number, name: string) => void,
): void {
  const slash = path.lastIndexOf("/");
  onTarget(makeDirectoryInRoot(rootFd, path.slice(0, slash) || "/"), (fd) =>
    act(fd, path.slice(slash + 1)),
  );
}
