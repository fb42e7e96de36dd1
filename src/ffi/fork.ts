/**
 * Forking a Bun process: the child goes on in JavaScript.
 *
 * Bun marks its one writable and executable mapping (the JIT's) MADV_DONTFORK, so a forked child
 * would fault on its first instruction there; MADV_DOFORK takes that back. The child has one thread:
 * no garbage-collector helpers, no event loop. A collection that is in progress at the moment of the
 * fork would never end in the child, so an older process collects just before (a young one has had
 * none: docs/decisions/fork.md). The child must be short and
 * synchronous, and end in execve(2) or _exit(2). Undocumented behaviour of Bun, so nothing else in
 * the project may rely on it; `runtime/launch.ts` watches over the child.
 */

import { cString, decodeBytes } from "./bytes.ts";
import { type CallArgs, check, checkUnless } from "./call.ts";
import { numbersIn } from "./directory_entries.ts";
import { addressOf, libc } from "./libc.ts";
import { defineStruct } from "./struct.ts";

const MADV_DOFORK = 11;
const SIGCHLD = 17;
const CLONE_PIDFD = 0x1000;
const CLONE_NEWPID = 0x20000000;
const CLONE_INTO_CGROUP = 0x200000000;
const SIG_SETMASK = 2;
/** sizeof(sigset_t) of glibc, bytes */
const SIGSET_SIZE = 128;
const EVERY_SIGNAL = new Uint8Array(SIGSET_SIZE).fill(0xff);
const SYS_clone = process.arch === "arm64" ? 220 : 56;
const SYS_clone3 = 435;

const cloneArgs = defineStruct({
  flags: "u64",
  pidfd: "u64",
  childTid: "u64",
  parentTid: "u64",
  exitSignal: "u64",
  stack: "u64",
  stackSize: "u64",
  tls: "u64",
  setTid: "u64",
  setTidSize: "u64",
  cgroup: "u64",
});

let prepared = false;
let forked = false;
let forks = 0;

const AT_FDCWD = -100;
const O_CLOEXEC = 0o2000000;
const O_DIRECTORY = process.arch === "arm64" ? 0o40000 : 0o200000;
const SYS_getdents64 = process.arch === "arm64" ? 61 : 217;

/** A small file of procfs; undefined when it is gone. This layer has no file functions to use. */
function readProc(path: string): string | undefined {
  const fd = checkUnless(
    "open",
    ["ENOENT", "ESRCH"],
    () => ({ path }),
    libc.openat(AT_FDCWD, cString(path), O_CLOEXEC, 0),
  );
  if (fd === undefined) return undefined;
  let text = "";
  const buffer = new Uint8Array(16384);
  for (;;) {
    const length = checkUnless("read", ["ESRCH"], { fd }, libc.read(fd, buffer, buffer.length));
    if (length === undefined || length === 0) break;
    text += decodeBytes(buffer.subarray(0, length));
  }
  check("close", { fd }, libc.close(fd));
  return text;
}

/** Lets the JIT's mapping pass on to children (madvise(2)). Once a process. */
function prepareFork(): void {
  if (prepared) return;
  const maps = readProc("/proc/self/maps") ?? "";
  for (let at = maps.indexOf(" rwxp "); at >= 0; at = maps.indexOf(" rwxp ", at + 1)) {
    const range = maps.slice(maps.lastIndexOf("\n", at) + 1, at);
    const dash = range.indexOf("-");
    const from = Number.parseInt(range.slice(0, dash), 16);
    const length = Number.parseInt(range.slice(dash + 1), 16) - from;
    check("madvise", { from, length }, libc.madvise(from, length, MADV_DOFORK));
  }
  prepared = true;
}

/** How often other threads are waited for, and how long each time, in microseconds: 5 ms in all. */
const SETTLE_ROUNDS = 50;
const SETTLE_PAUSE = 100;

/**
 * Waits until no other thread of ours is at work. The JIT's compile on threads of their own, and a
 * lock that one holds at the moment of the fork is held for ever in the child. One that sleeps
 * waits for work, and holds none.
 */
function settleThreads(): void {
  const threads = otherThreads();
  for (let round = 0; round < SETTLE_ROUNDS && threads.some(isAtWork); round++) {
    libc.usleep(SETTLE_PAUSE); // asleep: to look again and again would take the processor that they need
  }
}

/** Numbers of this process's threads but the first, which runs JavaScript (proc_pid_task(5)). */
function otherThreads(): number[] {
  const path = "/proc/self/task";
  const fd = checkUnless(
    "open",
    ["ENOENT"],
    () => ({ path }),
    libc.openat(AT_FDCWD, cString(path), O_CLOEXEC | O_DIRECTORY, 0),
  );
  if (fd === undefined) return []; // a forked child may be in a container without one
  const buffer = new Uint8Array(4096); // for a hundred threads; what is more is not waited for
  const length = check(
    "getdents64",
    () => ({ path }),
    libc.getdents64(SYS_getdents64, fd, buffer, buffer.length),
  );
  check("close", { fd }, libc.close(fd));
  const first = libc.getpid(); // process.pid is what the process had that we were forked from
  return numbersIn(buffer, length).filter((id) => id !== first);
}

/** Whether a thread runs, or would if it had a processor or were not being traced (proc_pid_stat(5), field 3). */
function isAtWork(thread: number): boolean {
  const stat = readProc(`/proc/self/task/${thread}/stat`) ?? "";
  return "RDTt".includes(stat.charAt(stat.lastIndexOf(")") + 2) || "-");
}

/**
 * A process younger than this, in milliseconds since its start, has not allocated enough for a first
 * collection; by the second fork it may have.
 */
const YOUNG = 200;

/**
 * Whether the collector may be at work on another thread, so that its work has to be finished
 * first. In a process that was forked itself there is nobody to do it, nor to wait for.
 */
function mayBeCollecting(): boolean {
  if (forked) return false;
  const first = forks++ === 0;
  return !first || performance.now() > YOUNG || process.env["BUN_JSC_collectContinuously"] === "1";
}

/**
 * A pid namespace for the child. While one is set for children (setns(2)), the kernel refuses new
 * threads, and a runtime that cannot start one of its workers aborts: so it is set for the length of
 * the one call.
 */
export interface ChildrensPidNamespace {
  /** a descriptor of it, or a pidfd of a process in it */
  readonly enter: number;
  /** a descriptor of our own */
  readonly own: number;
}

/** A child, as its parent knows it. */
export interface Forked {
  readonly pid: number;
  /** close-on-exec */
  readonly pidfd: number;
}

/**
 * clone(2) without a new stack: fork, into new namespaces. All signals are blocked in the child, and
 * with that in any thread that the runtime starts in it: one that was not would take signals that
 * are meant for the child, and drop them.
 * @param flags CLONE_NEW* bits
 * @param pidNamespace which the child is to be in, unless it is ours or a new one
 * @returns in the parent the child; in the child `undefined`
 */
export function forkWithNamespaces(
  flags: number,
  args: CallArgs,
  pidNamespace?: ChildrensPidNamespace,
): Forked | undefined {
  return fork((pidfd) => clone(flags, args, pidfd), pidNamespace);
}

/**
 * {@link forkWithNamespaces} by clone3(2), so that the child is in a cgroup from its first
 * instruction on; where that cannot be, in its parent's.
 * @param cgroup a descriptor of a directory of cgroup v2
 * @returns in parent and child whether it was made in the cgroup
 */
export function forkIntoCgroup(
  flags: number,
  args: CallArgs,
  cgroup: number,
): { readonly child: Forked | undefined; readonly entered: boolean } {
  let entered = true; // as the child is to find it
  const child = fork((pidfd) => {
    const pid = cloneInto(flags, args, pidfd, cgroup);
    if (pid !== undefined) return pid;
    entered = false;
    return clone(flags, args, pidfd);
  });
  return { child, entered };
}

const clone = (flags: number, args: CallArgs, pidfd: Int32Array): number =>
  check(
    "clone",
    args,
    libc.clone(SYS_clone, flags | SIGCHLD | CLONE_PIDFD, null, pidfd, null, null),
  );

/**
 * Older than Linux 5.7, or made to look like that by a seccomp filter; a cgroup that may not be
 * joined, or holds no processes because it hands controllers down, or is being removed (cgroups(7)).
 */
const CANNOT_ENTER = [
  "ENOSYS",
  "E2BIG",
  "EINVAL",
  "EACCES",
  "EOPNOTSUPP",
  "EBUSY",
  "ENODEV",
] as const;

function cloneInto(
  flags: number,
  args: CallArgs,
  pidfd: Int32Array,
  cgroup: number,
): number | undefined {
  const request = cloneArgs.alloc();
  // Not by |, which has 32 bits.
  cloneArgs.set(request, "flags", BigInt(flags | CLONE_PIDFD) | BigInt(CLONE_INTO_CGROUP));
  cloneArgs.set(request, "pidfd", addressOf(pidfd));
  cloneArgs.set(request, "exitSignal", SIGCHLD);
  cloneArgs.set(request, "cgroup", cgroup);
  return checkUnless(
    "clone3",
    CANNOT_ENTER,
    args,
    libc.clone3(SYS_clone3, request, cloneArgs.size),
  );
}

function fork(
  clone: (pidfd: Int32Array) => number,
  pidNamespace?: ChildrensPidNamespace,
): Forked | undefined {
  prepareFork();
  const pidfd = new Int32Array(1);
  if (mayBeCollecting()) Bun.gc(true);
  settleThreads(); // a forked process, too: the runtime may have started a compiler's thread in it
  const old = new Uint8Array(SIGSET_SIZE);
  check("sigprocmask", {}, libc.sigprocmask(SIG_SETMASK, EVERY_SIGNAL, old));
  const { enter, own } = pidNamespace ?? {};
  try {
    if (enter !== undefined) check("setns", { fd: enter }, libc.setns(enter, CLONE_NEWPID));
    const pid = clone(pidfd);
    if (pid !== 0) return { pid, pidfd: pidfd[0] as number };
    forked = true;
    return undefined;
  } finally {
    if (own !== undefined && !forked) check("setns", { fd: own }, libc.setns(own, CLONE_NEWPID));
    if (!forked) check("sigprocmask", {}, libc.sigprocmask(SIG_SETMASK, old, null));
  }
}
