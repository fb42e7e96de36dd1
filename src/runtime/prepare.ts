/** The part of init that works with the host still in sight: namespaces, mounts, kernel parameters. */
import { MydockerError } from "../errors.ts";
import { isErrno } from "../ffi/call.ts";
import { AT_FDCWD, close, fdPath, O, open } from "../linux/fd.ts";
import { chdir, chroot, fchdir, writeControl } from "../linux/file.ts";
import {
  cloneTree,
  MNT_DETACH,
  MOUNT_ATTR,
  MS,
  mount,
  mountSetAttributes,
  moveMount,
  pivotRoot,
  umount,
} from "../linux/mount.ts";
import { CLONE, setdomainname, sethostname, unshare } from "../linux/process.ts";
import { Procfs } from "../linux/procfs.ts";
import { bringLoopbackUp } from "../linux/socket.ts";
import { isNew } from "../namespaces/namespaces.ts";
import { mountDevices, openBindSources, openMadeSources, RootfsBuilder } from "../rootfs/apply.ts";
import type { InitPlan, RootSource } from "./init_plan.ts";
import type { Spec } from "./spec.ts";
import { makeWorkingDirectory } from "./working_directory.ts";

/** What waits until the creator has made what it shows, and where it goes. */
interface Waiting {
  readonly rootFd: number;
  readonly rootfs: RootfsBuilder;
  readonly sources: ReturnType<typeof openBindSources>;
}

/** What of the host is mounted, held by descriptors. */
export interface HostTrees {
  readonly sources: ReturnType<typeof openBindSources>;
  /** the root, if it is a directory; and where it is attached */
  readonly tree?: number;
  readonly target?: number;
}

/**
 * Takes hold of what is mounted from the host. With a user namespace before we are root in it: to
 * the host that is somebody who may not look into every directory on the way.
 */
export function openHostTrees(plan: InitPlan): HostTrees {
  const sources = openBindSources(plan.mounts, plan.attachAt);
  if (plan.root.kind === "mount") return { sources };
  const tree = plan.root.kind === "tree" ? plan.root.tree : cloneRoot(plan.root.path, plan.spec);
  return { sources, tree, target: open(plan.attachAt, O.O_PATH | O.O_DIRECTORY) };
}

/** Mounts what is the container's own. @returns what {@link finishRoot} goes on with */
export function beginRoot(plan: InitPlan, trees: HostTrees): Waiting {
  const { sources } = trees;
  explained(IN_CHROOT, () => mount(null, "/", null, MS.MS_REC | MS.MS_PRIVATE));
  mountDevices(plan.mounts, sources, plan.attachAt);
  const rootFd = attachRoot(plan, trees);
  const rootfs = new RootfsBuilder(rootFd);
  rootfs.apply(plan.mounts.slice(0, plan.lateFrom), sources);
  return { rootFd, rootfs, sources };
}

/** Joins the cgroups, and mounts what the creator has made meanwhile. */
export function finishRoot(plan: InitPlan, waiting: Waiting): void {
  const { rootFd, rootfs, sources } = waiting;
  for (const file of plan.joinFiles) writeControl(file, "0");
  if (isNew(plan.spec.linux.namespaces, "cgroup")) unshare(CLONE.CLONE_NEWCGROUP);
  openMadeSources(plan.mounts, sources);
  rootfs.apply(plan.mounts.slice(plan.lateFrom), sources);
  rootfs[Symbol.dispose]();
  makeWorkingDirectory(rootFd, plan.spec.process.cwd);
}

/**
 * A detached copy of the root's mounts. While it is still one of the host's group it can become its
 * slave; shared it becomes later, because pivot_root(2) moves no shared mount.
 */
function cloneRoot(path: string, { linux }: Spec): number {
  const tree = cloneTree(AT_FDCWD, path, true);
  const isSlave = linux.rootfsPropagation?.endsWith("slave") === true;
  const propagation = isSlave ? MS.MS_SLAVE : MS.MS_PRIVATE;
  mountSetAttributes(tree, { propagation, recursive: true });
  return tree;
}

/** Mounts the root in this namespace. @returns an O_PATH descriptor of it */
function attachRoot({ root, attachAt }: InitPlan, { tree, target }: HostTrees): number {
  if (root.kind === "mount") {
    mountFresh(root, attachAt);
    return open(attachAt, O.O_PATH | O.O_DIRECTORY);
  }
  moveMount(tree as number, target as number, attachAt);
  close(target as number);
  return tree as number;
}

function mountFresh(root: RootSource & { kind: "mount" }, attachAt: string): void {
  const opened: number[] = [];
  const data = root.data.map((piece) => {
    if (typeof piece === "string") return piece;
    const fd = open(piece.directory, O.O_PATH | O.O_DIRECTORY);
    opened.push(fd);
    return fdPath(fd);
  });
  mount(root.source, attachAt, root.type, root.flags, data.join(""));
  for (const fd of opened) close(fd);
}

/** Names, the loopback device and kernel parameters of the namespaces that are new. */
export function setUpNamespaces({ hostname, domainname, linux, process }: Spec): void {
  const { namespaces, sysctl } = linux;
  if (isNew(namespaces, "network")) bringLoopbackUp();
  if (hostname !== undefined && isNew(namespaces, "uts")) sethostname(hostname);
  if (domainname !== undefined && isNew(namespaces, "uts")) setdomainname(domainname);
  const { oomScoreAdj } = process;
  using procfs = new Procfs();
  const isMapped = namespaces.some(({ type }) => type === "user"); // launch.ts has written it
  if (oomScoreAdj !== undefined && !isMapped)
    procfs.write("self/oom_score_adj", String(oomScoreAdj));
  // Any procfs shows the values of the namespaces that the caller is in.
  for (const [name, value] of Object.entries(sysctl)) {
    procfs.write(`sys/${name.includes("/") ? name : name.replaceAll(".", "/")}`, value);
  }
}

/** Makes the root that `rootFd` names the root of this namespace; the old one is out of reach. */
export function enterRoot(rootFd: number, { spec, noPivot }: InitPlan): void {
  if (noPivot === true) moveRoot(rootFd);
  else pivot(rootFd);
  chdir("/");
  if (spec.root.readonly) changeRoot({ set: MOUNT_ATTR.MOUNT_ATTR_RDONLY });
  const { rootfsPropagation = "private" } = spec.linux;
  const later = LATER_PROPAGATION[rootfsPropagation];
  if (later !== undefined) {
    changeRoot({ propagation: later, recursive: rootfsPropagation.startsWith("r") });
  }
}

/** Propagation types that a mount must not have when it becomes the root. */
const LATER_PROPAGATION: Readonly<Record<string, number>> = {
  shared: MS.MS_SHARED,
  rshared: MS.MS_SHARED,
  unbindable: MS.MS_UNBINDABLE,
  runbindable: MS.MS_UNBINDABLE,
};

function changeRoot(change: Parameters<typeof mountSetAttributes>[1]): void {
  const root = open("/", O.O_PATH | O.O_DIRECTORY);
  mountSetAttributes(root, change);
  close(root);
}

const IN_CHROOT =
  "the root directory is that of a chroot and no mount, so its mounts cannot be kept apart: mount it on itself (mount --bind DIR DIR) before chroot DIR";
const IN_INITRAMFS =
  "pivot_root: the root directory is the initial ramfs, which cannot be left: use switch_root first, or --no-pivot of the OCI runtime";

/** Says what EINVAL means for a call whose arguments are known to be right. */
function explained(message: string, call: () => void): void {
  try {
    call();
  } catch (cause) {
    if (!isErrno(cause, "EINVAL")) throw cause;
    throw new MydockerError(message, { cause });
  }
}

function pivot(rootFd: number): void {
  const oldRoot = open("/", O.O_PATH | O.O_DIRECTORY);
  fchdir(rootFd);
  // Stacks the old root on the new one: no directory is needed for it.
  explained(IN_INITRAMFS, () => pivotRoot(".", "."));
  fchdir(oldRoot);
  umount(".", MNT_DETACH);
  close(oldRoot);
}

/** For a host whose root is the initial ramfs, which pivot_root(2) refuses to leave. */
function moveRoot(rootFd: number): void {
  fchdir(rootFd);
  mount(".", "/", null, MS.MS_MOVE);
  chroot(".");
}
