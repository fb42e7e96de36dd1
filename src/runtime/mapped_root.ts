/**
 * Root file systems that are mounted, and attached nowhere.
 *
 * One of them is a root file system whose layers show with the ids of a container's user namespace, though on disk
 * they belong to whom they always do (mount_setattr(2), "ID-mapped mounts").
 *
 * overlayfs wants its layers mounted where its mounter is. So a child in a mount namespace of its
 * own mounts them, ID-mapped, and the overlay on them; a copy of that mount is all that is left
 * of it. The child keeps the host's user namespace: overlayfs needs rights there for its own
 * attributes (trusted.overlay.*), and for layers that others have made with them.
 */
import { decodeBytes, encodeBytes } from "../ffi/bytes.ts";
import { Flags, isErrno } from "../ffi/call.ts";
import { forkWithNamespaces } from "../ffi/fork.ts";
import { AT_FDCWD, close, fdPath, O, open } from "../linux/fd.ts";
import { mkdir } from "../linux/file.ts";
import { cloneTree, MOUNT_ATTR, MS, mount, mountSetAttributes, moveMount } from "../linux/mount.ts";
import {
  CLONE,
  exitNow,
  P_PIDFD,
  PR_SET_SECUREBITS,
  prctl,
  SECBIT_NO_SETUID_FIXUP,
  setFileSystemIds,
  waitExit,
} from "../linux/process.ts";
import { messagePair, sendMessage } from "../linux/socket.ts";
import { openMappedNamespace } from "../rootfs/id_map.ts";
import type { IdMap } from "../rootfs/plan.ts";
import type { RootSource } from "./init_plan.ts";
import { describeDeath, LaunchError, StuckError } from "./launch_error.ts";
import { endChild, receiveFrom, type Waiting } from "./watch.ts";

/** What is mounted, and with which ids. */
export interface MappedRoot {
  readonly root: RootSource & { readonly kind: "mount" };
  readonly map: IdMap;
  /** an empty directory to mount on, in the child's own mount namespace */
  readonly at: string;
}

/**
 * Mounts a root with mapped ids.
 * @returns a descriptor of the mount, which is attached nowhere
 * @throws {LaunchError}
 */
export function* mountMappedRoot(mapped: MappedRoot): Waiting<number> {
  const namespace = openMappedNamespace(mapped.map);
  try {
    return yield* inMountNamespace(() => mountAll(mapped, namespace));
  } finally {
    close(namespace);
  }
}

/**
 * Mounts a root with the ids that it has, for somebody who only looks into it.
 * @param at see {@link MappedRoot}
 * @returns see {@link mountMappedRoot}
 */
export function mountPlainRoot(root: MappedRoot["root"], at: string): Waiting<number> {
  return inMountNamespace(() => {
    mount(null, "/", null, MS.MS_REC | MS.MS_PRIVATE);
    const data = root.data.map((piece) =>
      typeof piece === "string" ? piece : fdPath(open(piece.directory, O.O_PATH | O.O_DIRECTORY)),
    );
    mount(root.source, at, root.type, root.flags, data.join(""));
    return cloneTree(AT_FDCWD, at, false);
  });
}

/**
 * Does something in a child that has a mount namespace of its own, where all that it mounts ends
 * with it. Synchronous code only.
 * @param work returns a descriptor
 * @returns that descriptor, here
 * @throws {LaunchError} with the message of what `work` throws
 */
export function* inMountNamespace(work: () => number): Waiting<number> {
  try {
    return yield* mountByChild(work);
  } catch (error) {
    if (!(error instanceof StuckError)) throw error;
    return yield* mountByChild(work);
  }
}

function* mountByChild(work: () => number): Waiting<number> {
  const [ours, theirs] = messagePair();
  const flags = CLONE.CLONE_NEWNS;
  const child = forkWithNamespaces(flags, { flags: new Flags(CLONE, flags) });
  if (child === undefined) {
    close(ours);
    return mountAndSend(work, theirs);
  }
  close(theirs);
  let ended = false;
  try {
    const received = yield* receiveFrom(ours, child);
    const status = waitExit(P_PIDFD, child.pidfd);
    ended = true;
    if (received?.fd !== undefined) return received.fd;
    const said = received === undefined ? undefined : decodeBytes(received.bytes);
    throw new LaunchError(said ?? describeDeath(status?.signal), { exitCode: 125 });
  } catch (error) {
    if (!ended && !(error instanceof StuckError)) endChild(child);
    throw error;
  } finally {
    close(ours);
    close(child.pidfd);
  }
}

/** The child: synchronous code only. */
function mountAndSend(work: () => number, socket: number): never {
  try {
    const tree = work();
    sendMessage(socket, encodeBytes("mounted"), tree);
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    sendMessage(socket, encodeBytes(message));
  }
  return exitNow(0);
}

function mountAll({ root, map, at }: MappedRoot, namespace: number): number {
  mount(null, "/", null, MS.MS_REC | MS.MS_PRIVATE);
  mount("tmpfs", at, "tmpfs", 0, "mode=755");
  const mounted = new Map<string, string>();
  const data = root.data.map((piece) => {
    if (typeof piece === "string") return piece;
    const { directory, mount: whole = directory } = piece;
    const place = mounted.get(whole) ?? `${at}/${mounted.size}`;
    if (!mounted.has(whole)) mountMapped(whole, place, namespace);
    mounted.set(whole, place);
    return fdPath(open(place + directory.slice(whole.length), O.O_PATH | O.O_DIRECTORY));
  });
  // overlayfs makes files of its own as its mounter: it has to be somebody whom the mounts know.
  // Who is not root loses rights over files with that, unless told otherwise (capabilities(7)).
  prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP);
  setFileSystemIds(map.uid[0]?.hostID ?? 0, map.gid[0]?.hostID ?? 0);
  const merged = `${at}/root`;
  mkdir(merged, 0o755);
  mount(root.source, merged, root.type, root.flags, data.join(""));
  return cloneTree(AT_FDCWD, merged, false);
}

function mountMapped(source: string, place: string, userNamespace: number): void {
  mkdir(place, 0o755);
  const tree = cloneTree(AT_FDCWD, source, false);
  try {
    mountSetAttributes(tree, { set: MOUNT_ATTR.MOUNT_ATTR_IDMAP, userNamespace });
  } catch (cause) {
    if (!isErrno(cause, "EINVAL", "EOPNOTSUPP", "ENOSYS")) throw cause;
    const why = "its file system, or the kernel, has no ID-mapped mounts";
    throw new Error(`cannot show ${source} to a user namespace: ${why}`, { cause });
  }
  const target = open(place, O.O_PATH | O.O_DIRECTORY);
  moveMount(tree, target, place);
  for (const fd of [tree, target]) close(fd);
}
