/** The container's terminal, made before the pivot. Synchronous code only. */
import { close, O, openat } from "../linux/fd.ts";
import { cloneTree, DEVPTS_SUPER_MAGIC, fileSystemMagicOf, moveMount } from "../linux/mount.ts";
import { openPeer, unlockTerminal } from "../linux/tty.ts";
import { explain, RootfsError } from "./rootfs_error.ts";
import { makeFileInRoot, openInRoot } from "./safe_path.ts";

/**
 * A new terminal in the container's own devpts, whose slave is mounted on /dev/console. The slave
 * is had from the master, not by a name that an image could lead elsewhere (CVE-2025-52565), and
 * what it is mounted on is no link.
 * @param rootFd an O_PATH descriptor of the container's root
 * @returns the master
 * @throws {RootfsError}
 */
export function openConsole(rootFd: number): number {
  return opening(() => {
    const ptmx = openMaster(rootFd);
    const slave = openPeer(ptmx);
    const tree = cloneTree(slave, "", false);
    const target = makeFileInRoot(rootFd, "/dev/console", { followLinks: false });
    moveMount(tree, target, "/dev/console");
    for (const fd of [target, tree, slave]) close(fd);
    return ptmx;
  });
}

/** The master of a new terminal in the devpts of the root that `rootFd` names. @throws {RootfsError} */
export function openTerminal(rootFd: number): number {
  return opening(() => openMaster(rootFd));
}

function opening(open: () => number): number {
  try {
    return open();
  } catch (error) {
    if (error instanceof RootfsError)
      throw new RootfsError(`open a terminal: ${error.message}`, { cause: error });
    throw explain(error, "open a terminal");
  }
}

function openMaster(rootFd: number): number {
  const pts = openInRoot(rootFd, "/dev/pts", O.O_DIRECTORY);
  try {
    if (fileSystemMagicOf(pts) !== DEVPTS_SUPER_MAGIC)
      throw new RootfsError("/dev/pts is not a devpts file system");
    const ptmx = openat(pts, "ptmx", O.O_RDWR | O.O_NOCTTY | O.O_NOFOLLOW);
    unlockTerminal(ptmx);
    return ptmx;
  } finally {
    close(pts);
  }
}
