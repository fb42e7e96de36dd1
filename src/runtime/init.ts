/**
 * The container's first process, from the fork to execve(2). Synchronous code only: it has one
 * thread, and after the namespaces are entered nothing of Bun's that runs elsewhere may be used.
 *
 *   creator                          init
 *     │ ── clone(namespaces) ──────────▶ │ "alive"            (the watchdog's sign)
 *     │                                  │ joins cgroups, mounts, pivots
 *     │ ◀── "console" + pty master ───── │ only with a terminal
 *     │                                  │ drops privileges
 *     │ ◀── "failed" {…}, or end of file: execve(2) has closed the socket
 */
import { applyCapabilities, capabilityBits, limitBounding } from "../capabilities/capabilities.ts";
import { encodeBytes } from "../ffi/bytes.ts";
import { isErrno, type SysError } from "../ffi/call.ts";
import { close, closeFrom, dupOnto, F_DUPFD_CLOEXEC, fcntl, O, open, openat } from "../linux/fd.ts";
import { chdir, chownAt, fchdir, getcwd, writeControl } from "../linux/file.ts";
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
  setrlimit,
  setsid,
  stringVector,
  umask,
  unblockSignals,
  unshare,
} from "../linux/process.ts";
import { bringLoopbackUp, sendMessage } from "../linux/socket.ts";
import { openPeer, setControllingTerminal, setWindowSize, unlockTerminal } from "../linux/tty.ts";
import { applyRootfs } from "../rootfs/apply.ts";
import type { MountOp } from "../rootfs/plan.ts";
import { makeFileInRoot, openInRoot } from "../rootfs/safe_path.ts";
import { explainExec, findExecutable } from "./executable.ts";
import { RLIMITS } from "./rlimits.ts";
import type { Spec } from "./spec.ts";

/** All that init needs, computed before the fork. */
export interface InitPlan {
  readonly spec: Spec;
  readonly mounts: readonly MountOp[];
  /** The detached mount that becomes the root. */
  readonly rootFd: number;
  /** An existing directory of the host where the root is attached, in init's own mount namespace only. */
  readonly attachAt: string;
  /** Files of cgroups that a process joins by writing "0". */
  readonly joinFiles: readonly string[];
  /** Descriptors that become 0, 1, 2; absent with a terminal. */
  readonly stdio?: readonly [number, number, number];
  /** struct winsize of the terminal to start with. */
  readonly windowSize?: Uint8Array;
  readonly newNetwork: boolean;
  readonly newUts: boolean;
  readonly newCgroup: boolean;
  /** Ends with the creator: SIGKILL when its thread is gone. */
  readonly dieWithParent: boolean;
}

/** What init says on its socket. */
export type InitMessage =
  | { readonly kind: "alive" }
  | { readonly kind: "console" }
  | { readonly kind: "failed"; readonly message: string; readonly exitCode: number };

function tell(socket: number, message: InitMessage, fd?: number): void {
  sendMessage(socket, encodeBytes(JSON.stringify(message)), fd);
}

/** A start that failed for a reason that has an exit code of its own (126, 127). */
class StartError extends Error {
  readonly exitCode: number;
  constructor(message: string, options: { exitCode: number; cause?: unknown }) {
    super(message, { cause: options.cause });
    this.exitCode = options.exitCode;
  }
}

/** Runs in the forked child; ends in execve(2) or _exit(2), never returns. */
export function runInit(plan: InitPlan, socket: number): never {
  try {
    tell(socket, { kind: "alive" });
    become(plan, socket);
  } catch (error) {
    const exitCode = error instanceof StartError ? error.exitCode : 125;
    try {
      tell(socket, {
        kind: "failed",
        message: error instanceof Error ? error.message : String(error),
        exitCode,
      });
    } catch {
      // The creator is gone: nobody is left to tell.
    }
  }
  return exitNow(1);
}

function become(plan: InitPlan, socket: number): never {
  const { spec } = plan;
  const { process } = spec;
  prctl(PR_SET_DUMPABLE, 0);
  if (plan.dieWithParent) prctl(PR_SET_PDEATHSIG, SIGNALS.SIGKILL);
  setsid();
  for (const file of plan.joinFiles) writeControl(file, "0");
  if (plan.newCgroup) unshare(CLONE.CLONE_NEWCGROUP);

  mount(null, "/", null, MS.MS_REC | MS.MS_PRIVATE);
  const attach = open(plan.attachAt, O.O_PATH | O.O_DIRECTORY);
  moveMount(plan.rootFd, attach, plan.attachAt);
  close(attach);
  applyRootfs(plan.rootFd, plan.mounts);
  const master = process.terminal ? openConsole(plan) : undefined;
  if (plan.newNetwork) bringLoopbackUp();
  if (plan.newUts && spec.hostname !== undefined) sethostname(spec.hostname);
  if (plan.newUts && spec.domainname !== undefined) setdomainname(spec.domainname);
  if (process.oomScoreAdj !== undefined)
    writeControl("/proc/self/oom_score_adj", String(process.oomScoreAdj));
  for (const [name, value] of Object.entries(spec.linux.sysctl))
    writeSysctl(plan.rootFd, name, value);
  for (const limit of process.rlimits)
    setrlimit(RLIMITS[limit.type] as number, limit.soft, limit.hard, limit.type);

  enterRoot(plan);

  if (master !== undefined) {
    const slave = openPeer(master);
    if (plan.windowSize !== undefined) setWindowSize(slave, plan.windowSize);
    chownAt(slave, "", process.user.uid, -1 >>> 0, 0x1000);
    for (const fd of [0, 1, 2]) dupOnto(slave, fd);
    setControllingTerminal(0);
    tell(socket, { kind: "console" }, master);
  } else if (plan.stdio !== undefined) {
    // First out of the way of 0–2, then into place.
    const moved = plan.stdio.map((fd) => fcntl(fd, F_DUPFD_CLOEXEC, 10));
    moved.forEach((fd, to) => {
      dupOnto(fd, to);
    });
  }

  dropPrivileges(spec);
  enterWorkingDirectory(process.cwd);
  umask(process.user.umask ?? 0o022);
  const path = findExecutable(process.args[0] ?? "", process.env);
  if ("problem" in path) throw new StartError(path.problem, { exitCode: path.exitCode });
  const argv = stringVector(process.args);
  const env = stringVector(process.env);
  resetSignals();
  unblockSignals();
  // Only the socket is left open, and execve closes it: it moves to 3, everything above goes.
  if (socket !== 3) {
    dupOnto(socket, 3);
    fcntl(3, 2, 1);
  }
  closeFrom(4);
  try {
    return execve(path.path, argv, env);
  } catch (error) {
    const { problem, exitCode } = explainExec(path.path, error as SysError);
    const failure: InitMessage = { kind: "failed", message: problem, exitCode };
    tell(3, failure);
    return exitNow(1);
  }
}

/** The master of a new terminal in the container's own devpts, and its slave on /dev/console. */
function openConsole(plan: InitPlan): number {
  const pts = openInRoot(plan.rootFd, "/dev/pts", O.O_DIRECTORY);
  const master = openat(pts, "ptmx", O.O_RDWR | O.O_NOCTTY | O.O_NOFOLLOW);
  close(pts);
  unlockTerminal(master);
  const slave = openPeer(master);
  const tree = cloneTree(slave, "", false);
  const target = makeFileInRoot(plan.rootFd, "/dev/console");
  moveMount(tree, target, "/dev/console");
  for (const fd of [target, tree, slave]) close(fd);
  return master;
}

/** Writes a sysctl through a procfs that no image can have put something in front of. */
function writeSysctl(rootFd: number, name: string, value: string): void {
  void rootFd;
  const path = `/proc/sys/${name.replaceAll(".", "/")}`;
  writeControl(path, value);
}

/** pivot_root(2) into the root; the old one is unmounted and out of reach. */
function enterRoot(plan: InitPlan): void {
  const oldRoot = open("/", O.O_PATH | O.O_DIRECTORY);
  fchdir(plan.rootFd);
  pivotRoot(".", ".");
  fchdir(oldRoot);
  umount(".", MNT_DETACH);
  close(oldRoot);
  chdir("/");
  if (plan.spec.root.readonly) {
    const root = open("/", O.O_PATH | O.O_DIRECTORY);
    mountSetAttributes(root, { set: MOUNT_ATTR.MOUNT_ATTR_RDONLY });
    close(root);
  }
}

function dropPrivileges(spec: Spec): void {
  const { capabilities, user, noNewPrivileges } = spec.process;
  const [bounding, permitted] = [
    capabilityBits(capabilities.bounding),
    capabilityBits(capabilities.permitted),
  ];
  limitBounding(bounding);
  prctl(PR_SET_KEEPCAPS, 1);
  setCredentials(user.uid, user.gid, user.additionalGids ?? []);
  applyCapabilities({
    // Another user than root keeps what it was given only in the bounding and permitted sets that exec allows it.
    effective: capabilityBits(capabilities.effective),
    permitted,
    inheritable: capabilityBits(capabilities.inheritable),
    ambient: capabilityBits(capabilities.ambient),
  });
  if (noNewPrivileges) prctl(PR_SET_NO_NEW_PRIVS, 1);
}

function enterWorkingDirectory(cwd: string): void {
  try {
    chdir(cwd);
  } catch (error) {
    if (!isErrno(error, "ENOENT"))
      throw new StartError(`working directory ${cwd}: ${(error as Error).message}`, {
        exitCode: 126,
        cause: error,
      });
    throw new StartError(`working directory ${cwd}: no such directory`, {
      exitCode: 127,
      cause: error,
    });
  }
  // A descriptor of the host as working directory shows as "(unreachable)" (CVE-2024-21626).
  if (!getcwd().startsWith("/"))
    throw new StartError(`working directory ${cwd} is outside of the container's root`, {
      exitCode: 126,
    });
}
