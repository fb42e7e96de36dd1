/**
 * The container's first process, from the fork to execve(2). Synchronous code only: it has one
 * thread, and after the namespaces are entered nothing of Bun's that runs elsewhere may be used.
 *
 *   creator                          init
 *     │ ── clone(namespaces) ──────────▶ │
 *     │ makes cgroup and files           │ mounts what is the container's own
 *     │ ── "go" ───────────────────────▶ │
 *     │                                  │ joins cgroups, mounts what is the creator's
 *     │ ◀── "console" + pty master ──── │ only with a terminal
 *     │                                  │ pivots, drops privileges
 *     │ ◀── "exec" ──────────────────── │
 *     │ ◀── "failed" {…}, or end of file: execve(2) has closed the socket
 */
import { applyCapabilities, capabilityBits, limitBounding } from "../capabilities/capabilities.ts";
import { encodeBytes } from "../ffi/bytes.ts";
import { SysError } from "../ffi/call.ts";
import { forkWithNamespaces } from "../ffi/fork.ts";
import {
  AT_EMPTY_PATH,
  AT_FDCWD,
  close,
  closeFrom,
  dupOnto,
  F_DUPFD_CLOEXEC,
  F_SETFD,
  FD_CLOEXEC,
  fcntl,
  fdPath,
  O,
  open,
  openat,
} from "../linux/fd.ts";
import { chdir, chownAt, fchdir, S_IFCHR, S_IFMT, statFd, writeControl } from "../linux/file.ts";
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
import {
  CLONE,
  execve,
  exitNow,
  PR_SET_DUMPABLE,
  PR_SET_KEEPCAPS,
  PR_SET_NO_NEW_PRIVS,
  PR_SET_PDEATHSIG,
  prctl,
  resetSignals,
  SIGNALS,
  setCredentials,
  setdomainname,
  sethostname,
  setsid,
  stringVector,
  umask,
  unblockSignals,
  unshare,
} from "../linux/process.ts";
import { bringLoopbackUp, receiveMessage, sendMessage } from "../linux/socket.ts";
import { openPeer, setControllingTerminal, setWindowSize, unlockTerminal } from "../linux/tty.ts";
import { isNew } from "../namespaces/namespaces.ts";
import { applyRootfs, cloneBindSources } from "../rootfs/apply.ts";
import type { MountOp } from "../rootfs/plan.ts";
import { makeFileInRoot, openInRoot } from "../rootfs/safe_path.ts";
import { AccountError, type AccountRequest, resolveAccount } from "./account.ts";
import { explainExec, findExecutable, isOwnExecutable } from "./executable.ts";
import { reapAndForward } from "./reaper.ts";
import { applyRlimit } from "./rlimits.ts";
import type { Process, Spec } from "./spec.ts";
import { StartError } from "./start_error.ts";
import {
  checkWorkingDirectory,
  enterWorkingDirectory,
  makeWorkingDirectory,
  tryEnterWorkingDirectory,
} from "./working_directory.ts";

/** How the root file system comes about: a fresh mount, or a directory. */
export type RootSource =
  | {
      readonly kind: "mount";
      readonly type: string;
      readonly source: string;
      readonly flags: number;
      /** joined; a directory is opened in the container's mount namespace and named by descriptor */
      readonly data: readonly (string | { readonly directory: string })[];
    }
  | { readonly kind: "directory"; readonly path: string };

/** All that init needs, computed before the fork. */
export interface InitPlan {
  readonly spec: Spec;
  readonly mounts: readonly MountOp[];
  readonly root: RootSource;
  /** An existing directory of the host on which the root is mounted, in init's own namespace only. */
  readonly attachAt: string;
  /** Targets of mounts that show what the creator makes while we are at work. */
  readonly awaits: readonly string[];
  /** Files of cgroups that a process joins by writing "0". */
  readonly joinFiles: readonly string[];
  /** Descriptors that become 0, 1, 2; absent with a terminal. */
  readonly stdio?: readonly [number, number, number];
  /** false: standard input is /dev/null */
  readonly stdinIsPipe: boolean;
  /** struct winsize of the terminal to start with. */
  readonly windowSize?: Uint8Array;
  /** Replaces process.user, and gives HOME, by what the image's own files say. */
  readonly account?: AccountRequest;
  /** Ends with the creator: SIGKILL when the thread that forked it is gone. */
  readonly dieWithParent: boolean;
  /** Stays as the first process, which reaps and forwards signals; the command is its child. */
  readonly reaper: boolean;
}

/** What init says on its socket. */
export type InitMessage =
  /** from the stage that forked us (stage.ts), with a pidfd */
  | { readonly kind: "forked"; readonly pid: number }
  | { readonly kind: "console" }
  | { readonly kind: "exec" }
  | { readonly kind: "failed"; readonly message: string; readonly exitCode: number };

function tell(socket: number, message: InitMessage, fd?: number): void {
  sendMessage(socket, encodeBytes(JSON.stringify(message)), fd);
}

/** Runs in the forked child; ends in execve(2) or _exit(2), never returns. */
export function runInit(plan: InitPlan, socket: number): never {
  channel = socket;
  try {
    prepareContainer(plan, channel);
    const { process } = plan.spec;
    const user = resolveUser(plan);
    enterContainer(plan, user);
    startCommand(plan, process, user, channel);
  } catch (error) {
    const exitCode = error instanceof StartError ? error.exitCode : 125;
    const message = error instanceof Error ? error.message : String(error);
    try {
      tell(channel, { kind: "failed", message, exitCode });
    } catch {
      // The creator is gone: nobody is left to tell.
    }
  }
  return exitNow(1);
}

/** Descriptors that live from one phase to the next; single-threaded, so module state is safe here. */
let channel = -1;
let rootFd = -1;
let master: number | undefined;

/** Everything that is done with the host still in sight. */
function prepareContainer(plan: InitPlan, socket: number): void {
  const { spec } = plan;
  const { namespaces } = spec.linux;
  umask(0);
  prctl(PR_SET_DUMPABLE, 0); // nothing that shares the namespace may look into us (CVE-2016-9962)
  setsid();
  const { early, late, shown } = splitPlan(plan);
  const sources = cloneBindSources(plan.mounts.filter((op) => !shown.includes(op)));
  mount(null, "/", null, MS.MS_REC | MS.MS_PRIVATE);
  rootFd = mountRoot(plan);
  applyRootfs(rootFd, early, sources);
  if (receiveMessage(socket) === undefined) return exitNow(1); // the creator has given up
  for (const file of plan.joinFiles) writeControl(file, "0");
  if (isNew(namespaces, "cgroup")) unshare(CLONE.CLONE_NEWCGROUP);
  applyRootfs(rootFd, late, new Map([...sources, ...cloneBindSources(shown)]));
  makeWorkingDirectory(rootFd, spec.process.cwd);
  if (spec.process.terminal) {
    master = openConsole(rootFd);
    tell(socket, { kind: "console" }, master);
  }
  if (isNew(namespaces, "network")) bringLoopbackUp();
  if (isNew(namespaces, "uts")) {
    if (spec.hostname !== undefined) sethostname(spec.hostname);
    if (spec.domainname !== undefined) setdomainname(spec.domainname);
  }
  const { oomScoreAdj } = spec.process;
  if (oomScoreAdj !== undefined) writeControl("/proc/self/oom_score_adj", String(oomScoreAdj));
  // Through the host's procfs, which shows the values of the namespaces that the caller is in, and
  // which no image can have put something in front of (CVE-2019-19921).
  for (const [name, value] of Object.entries(spec.linux.sysctl)) {
    writeControl(`/proc/sys/${name.includes("/") ? name : name.replaceAll(".", "/")}`, value);
  }
  for (const limit of spec.process.rlimits) applyRlimit(limit);
}

/**
 * What can be mounted at once, and what has to wait for the creator: from the first of those that
 * show something it makes. Order counts, so what follows waits too.
 */
function splitPlan({ mounts, awaits }: InitPlan): Record<"early" | "late" | "shown", MountOp[]> {
  const shown = mounts.filter((op) => op.op === "bind" && awaits.includes(op.target));
  // A cgroup2 file system shows the cgroup that its mounter is in (cgroup_namespaces(7)).
  const waits = (op: MountOp) => shown.includes(op) || (op.op === "mount" && op.type === "cgroup2");
  const first = mounts.findIndex(waits);
  const at = first === -1 ? mounts.length : first;
  return { early: mounts.slice(0, at), late: mounts.slice(at), shown };
}

/** Mounts the root in this namespace. @returns an O_PATH descriptor of it */
function mountRoot({ root, attachAt }: InitPlan): number {
  if (root.kind === "mount") {
    const opened: number[] = [];
    const data = root.data.map((piece) => {
      if (typeof piece === "string") return piece;
      const fd = open(piece.directory, O.O_PATH | O.O_DIRECTORY);
      opened.push(fd);
      return fdPath(fd);
    });
    mount(root.source, attachAt, root.type, root.flags, data.join(""));
    for (const fd of opened) close(fd);
  } else {
    const tree = cloneTree(AT_FDCWD, root.path, true);
    const target = open(attachAt, O.O_PATH | O.O_DIRECTORY);
    moveMount(tree, target, attachAt);
    close(target);
    close(tree);
  }
  return open(attachAt, O.O_PATH | O.O_DIRECTORY);
}

interface ResolvedUser {
  readonly uid: number;
  readonly gid: number;
  readonly additionalGids: readonly number[];
  readonly env: readonly string[];
}

function resolveUser(plan: InitPlan): ResolvedUser {
  const { user, env } = plan.spec.process;
  if (plan.account === undefined)
    return { ...user, additionalGids: user.additionalGids ?? [], env };
  try {
    const { home, ...account } = resolveAccount(rootFd, plan.account);
    const hasHome = env.some((entry) => entry.startsWith("HOME="));
    return { ...account, env: hasHome ? env : [...env, `HOME=${home}`] };
  } catch (error) {
    if (!(error instanceof AccountError)) throw error;
    throw new StartError(error.message, { exitCode: 125, cause: error });
  }
}

/**
 * Leaves the host behind: root, terminal, descriptors, privileges.
 * The socket, then number 3, is the only descriptor above 2.
 */
function enterContainer(plan: InitPlan, user: ResolvedUser): void {
  const { process, root } = plan.spec;
  pivot(root.readonly);
  if (master !== undefined) {
    const slave = openPeer(master);
    if (plan.windowSize !== undefined) setWindowSize(slave, plan.windowSize);
    chownAt(slave, "", user.uid, -1, AT_EMPTY_PATH);
    for (const fd of [0, 1, 2]) dupOnto(slave, fd);
    if (!plan.reaper) setControllingTerminal(0); // else it is the command's, in a session of its own
  } else if (plan.stdio !== undefined) {
    // First out of the way of 0–2, then into place.
    const [stdin, stdout, stderr] = plan.stdio;
    const input = plan.stdinIsPipe ? stdin : (openOwnNull() ?? stdin);
    const moved = [input, stdout, stderr].map((fd) => fcntl(fd, F_DUPFD_CLOEXEC, 10));
    moved.forEach((fd, to) => {
      dupOnto(fd, to);
      // Opening /dev/stdout again is a question of the pipe's owner. Devices are not ours to give away.
      if (user.uid !== 0 && isPipe(plan, to)) chownAt(to, "", user.uid, -1, AT_EMPTY_PATH);
    });
  }
  if (channel !== 3) {
    dupOnto(channel, 3);
    fcntl(3, F_SETFD, FD_CLOEXEC);
  }
  channel = 3;
  closeFrom(4);
  const entered = tryEnterWorkingDirectory(process.cwd);
  dropPrivileges(process, user);
  // Last, because a change of credentials clears it (PR_SET_PDEATHSIG(2const)).
  if (plan.dieWithParent) prctl(PR_SET_PDEATHSIG, SIGNALS.SIGKILL);
  if (!entered) enterWorkingDirectory(process.cwd);
  checkWorkingDirectory(process.cwd);
  umask(process.user.umask ?? 0o022);
}

/** The container's own /dev/null: of the host's, root in the container could change mode and owner. */
function openOwnNull(): number | undefined {
  try {
    const fd = open("/dev/null", O.O_RDWR | O.O_NOFOLLOW);
    const { mode, rdevMajor, rdevMinor } = statFd(fd);
    if ((mode & S_IFMT) === S_IFCHR && rdevMajor === 1 && rdevMinor === 3) return fd;
    close(fd);
  } catch (error) {
    if (!(error instanceof SysError)) throw error; // a /dev that has none
  }
  return undefined;
}

/** Standard output and error are always our pipes; input is one unless it is /dev/null. */
function isPipe(plan: InitPlan, fd: number): boolean {
  return fd !== 0 || plan.stdinIsPipe;
}

function startCommand(plan: InitPlan, process: Process, user: ResolvedUser, socket: number): never {
  const found = findExecutable(process.args[0] ?? "", user.env);
  if ("problem" in found) throw new StartError(found.problem, { exitCode: found.exitCode });
  if (isOwnExecutable(found.path)) {
    const message = `exec ${found.path}: permission denied: it leads to mydocker itself`;
    throw new StartError(message, { exitCode: 126 });
  }
  const argv = stringVector(process.args);
  const env = stringVector(user.env);
  if (plan.reaper) {
    resetSignals(); // what the caller ignores, this process would not be told of
    const child = forkWithNamespaces(0, {});
    if (child !== undefined) {
      close(socket);
      return reapAndForward(child.pid);
    }
    setsid();
    if (process.terminal) setControllingTerminal(0);
    if (plan.dieWithParent) prctl(PR_SET_PDEATHSIG, SIGNALS.SIGKILL);
  }
  tell(socket, { kind: "exec" });
  resetSignals();
  unblockSignals();
  try {
    return execve(found.path, argv, env);
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    const { problem, exitCode } = explainExec(found.path, error);
    throw new StartError(problem, { exitCode, cause: error });
  }
}

/** The master of a new terminal in the container's own devpts, and its slave on /dev/console. */
function openConsole(root: number): number {
  const pts = openInRoot(root, "/dev/pts", O.O_DIRECTORY);
  const ptmx = openat(pts, "ptmx", O.O_RDWR | O.O_NOCTTY | O.O_NOFOLLOW);
  close(pts);
  unlockTerminal(ptmx);
  const slave = openPeer(ptmx);
  const tree = cloneTree(slave, "", false);
  const target = makeFileInRoot(root, "/dev/console");
  moveMount(tree, target, "/dev/console");
  for (const fd of [target, tree, slave]) close(fd);
  return ptmx;
}

/** pivot_root(2) into the root; the old one is unmounted and out of reach. */
function pivot(readonlyRoot: boolean): void {
  const oldRoot = open("/", O.O_PATH | O.O_DIRECTORY);
  fchdir(rootFd);
  pivotRoot(".", "."); // stacks the old root on the new one: no directory is needed for it
  fchdir(oldRoot);
  umount(".", MNT_DETACH);
  close(oldRoot);
  chdir("/");
  if (readonlyRoot) {
    const root = open("/", O.O_PATH | O.O_DIRECTORY);
    mountSetAttributes(root, { set: MOUNT_ATTR.MOUNT_ATTR_RDONLY });
    close(root);
  }
}

function dropPrivileges(process: Process, user: ResolvedUser): void {
  const { capabilities, noNewPrivileges } = process;
  limitBounding(capabilityBits(capabilities.bounding));
  prctl(PR_SET_KEEPCAPS, 1);
  setCredentials(user.uid, user.gid, user.additionalGids);
  applyCapabilities({
    // Another user than root has none of them once execve(2) is over, so finding and executing the
    // command must not be helped by them either.
    effective: capabilityBits(user.uid === 0 ? capabilities.effective : capabilities.ambient),
    permitted: capabilityBits(capabilities.permitted),
    inheritable: capabilityBits(capabilities.inheritable),
    ambient: capabilityBits(capabilities.ambient),
  });
  if (noNewPrivileges) prctl(PR_SET_NO_NEW_PRIVS, 1);
}
