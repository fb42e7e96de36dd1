/** Processes: clone(2), execve(2), waitid(2), pidfds, prctl(2), credentials, limits, signals. */
import { cString, decodeBytes, encodeBytes } from "../ffi/bytes.ts";
import { check, checkUnless, Flags, isErrno, retryInterrupted, SysError } from "../ffi/call.ts";
import { addressOf, libc } from "../ffi/libc.ts";
import { defineStruct } from "../ffi/struct.ts";
import { SYS } from "./syscall_numbers.ts";

// linux/sched.h
export const CLONE = {
  CLONE_NEWTIME: 0x80,
  CLONE_FS: 0x200,
  CLONE_PIDFD: 0x1000,
  CLONE_PARENT: 0x8000,
  CLONE_NEWNS: 0x20000,
  CLONE_NEWCGROUP: 0x2000000,
  CLONE_NEWUTS: 0x4000000,
  CLONE_NEWIPC: 0x8000000,
  CLONE_NEWUSER: 0x10000000,
  CLONE_NEWPID: 0x20000000,
  CLONE_NEWNET: 0x40000000,
} as const;

// asm/signal.h
export const SIGNALS = {
  SIGHUP: 1,
  SIGINT: 2,
  SIGQUIT: 3,
  SIGILL: 4,
  SIGTRAP: 5,
  SIGABRT: 6,
  SIGBUS: 7,
  SIGFPE: 8,
  SIGKILL: 9,
  SIGUSR1: 10,
  SIGSEGV: 11,
  SIGUSR2: 12,
  SIGPIPE: 13,
  SIGALRM: 14,
  SIGTERM: 15,
  SIGSTKFLT: 16,
  SIGCHLD: 17,
  SIGCONT: 18,
  SIGSTOP: 19,
  SIGTSTP: 20,
  SIGTTIN: 21,
  SIGTTOU: 22,
  SIGURG: 23,
  SIGXCPU: 24,
  SIGXFSZ: 25,
  SIGVTALRM: 26,
  SIGPROF: 27,
  SIGWINCH: 28,
  SIGIO: 29,
  SIGPWR: 30,
  SIGSYS: 31,
} as const;

// linux/prctl.h
export const PR_SET_PDEATHSIG = 1;
export const PR_SET_DUMPABLE = 4;
export const PR_SET_KEEPCAPS = 8;
export const PR_SET_NAME = 15;
export const PR_CAPBSET_DROP = 24;
export const PR_SET_NO_NEW_PRIVS = 38;
export const PR_CAP_AMBIENT = 47;
export const PR_CAP_AMBIENT_RAISE = 2;
export const PR_CAP_AMBIENT_CLEAR_ALL = 4;

/** getpid(2). */
export const getpid = (): number => libc.getpid();
/** geteuid(2). */
export const geteuid = (): number => libc.geteuid();

/** unshare(2). */
export function unshare(flags: number): void {
  check("unshare", { flags: new Flags(CLONE, flags) }, libc.unshare(flags));
}

export const PR_SET_SECUREBITS = 28;
/** A change of user leaves capabilities as they are (capabilities(7)). */
export const SECBIT_NO_SETUID_FIXUP = 4;

/** setfsuid(2), setfsgid(2), which do not say whether they have worked. @throws {Error} */
export function setFileSystemIds(uid: number, gid: number): void {
  for (const [name, set, id] of [
    ["setfsgid", libc.setfsgid, gid],
    ["setfsuid", libc.setfsuid, uid],
  ] as const) {
    set(id);
    if (set(-1) !== id) throw new Error(`${name} ${id}: not permitted`);
  }
}

/** setns(2). @param type one of CLONE_NEW*, or 0 for any */
export function setns(fd: number, type = 0): void {
  check("setns", { fd, flags: new Flags(CLONE, type) }, libc.setns(fd, type));
}

/** A NULL-terminated vector of C strings, as execve(2) takes it. Keep the whole value alive until the call. */
export interface StringVector {
  readonly strings: Uint8Array[];
  readonly pointers: BigUint64Array;
}

/** The strings as C strings, with their addresses and a NULL. */
export function stringVector(values: readonly string[]): StringVector {
  const strings = values.map(cString);
  const pointers = new BigUint64Array(values.length + 1);
  for (const [index, bytes] of strings.entries()) pointers[index] = BigInt(addressOf(bytes));
  return { strings, pointers };
}

/** execve(2). Returns only by throwing. */
export function execve(path: string, argv: StringVector, env: StringVector): never {
  check("execve", { path }, libc.execve(cString(path), argv.pointers, env.pointers));
  throw new Error("execve returned");
}

/** execveat(2) with AT_EMPTY_PATH: executes a memory file. Returns only by throwing. */
export function execMemory(fd: number, argv: StringVector, env: StringVector): never {
  const AT_EMPTY_PATH = 0x1000;
  check(
    "execveat",
    () => ({ fd, command: decodeBytes(argv.strings[0]?.subarray(0, -1) ?? new Uint8Array()) }),
    libc.execveat(SYS.execveat, fd, cString(""), argv.pointers, env.pointers, AT_EMPTY_PATH),
  );
  throw new Error("execveat returned");
}

/**
 * posix_spawn(3): starts a program with the caller's descriptors, without running anything of the
 * caller's in the child.
 * @returns its pid
 */
export function posixSpawn(path: string, argv: readonly string[], env: readonly string[]): number {
  const pid = new Int32Array(1);
  const [argVector, envVector] = [stringVector(argv), stringVector(env)];
  // It returns the error's number instead of setting errno.
  const error = libc.posix_spawn(
    pid,
    cString(path),
    null,
    null,
    argVector.pointers,
    envVector.pointers,
  );
  if (error !== 0) throw new SysError("posix_spawn", { path }, error);
  return pid[0] as number;
}

/** _exit(2): ends the process without running anything of the JavaScript runtime's. */
export function exitNow(status: number): never {
  libc._exit(status);
  throw new Error("_exit returned");
}

/** kill(2). */
export function kill(pid: number, signal: number): void {
  check("kill", { pid, signal }, libc.kill(pid, signal));
}

/** Whether there is a process of this number, whoever's it is (kill(2) with signal 0). */
export function processExists(pid: number): boolean {
  try {
    const found = checkUnless("kill", ["ESRCH"], () => ({ pid, signal: 0 }), libc.kill(pid, 0));
    return found !== undefined;
  } catch (error) {
    if (isErrno(error, "EPERM")) return true;
    throw error;
  }
}

/** pidfd_open(2). */
export function pidfdOpen(pid: number): number {
  return check("pidfd_open", { pid }, libc.pidfd_open(SYS.pidfd_open, pid, 0));
}

/** pidfd_send_signal(2). */
export function pidfdSendSignal(pidfd: number, signal: number): void {
  check(
    "pidfd_send_signal",
    { fd: pidfd, signal },
    libc.pidfd_send_signal(SYS.pidfd_send_signal, pidfd, signal, null, 0),
  );
}

/** pidfd_getfd(2): a descriptor of another process's, close-on-exec. Needs the right to trace it. */
export function pidfdGetFd(pidfd: number, fd: number): number {
  return check(
    "pidfd_getfd",
    () => ({ fd: pidfd, target: fd }),
    libc.pidfd_getfd(SYS.pidfd_getfd, pidfd, fd, 0),
  );
}

/** Whether a process is a child of ours, one that has ended but was not waited for included (waitid(2)). */
export function isChild(pid: number): boolean {
  const WNOWAIT = 0x1000000;
  const info = siginfo.alloc();
  const options = WEXITED | WNOHANG | WNOWAIT;
  const found = checkUnless(
    "waitid",
    ["ECHILD"],
    () => ({ pid }),
    libc.waitid(P_PID, pid, info, options),
  );
  return found !== undefined;
}

/** How a process ended: its exit code, or the signal that killed it. */
export interface ExitStatus {
  readonly code: number;
  readonly signal?: number;
}

const siginfo = defineStruct({
  signo: "i32",
  errno: "i32",
  code: "i32",
  pad: "i32",
  pid: "i32",
  uid: "u32",
  status: "i32",
  rest: { bytes: 100 },
});
const CLD_EXITED = 1;
export const P_ALL = 0;
export const P_PID = 1;
export const P_PIDFD = 3;
const WEXITED = 4;
export const WNOHANG = 1;

/** waitid(2) for an exited child. @returns undefined with WNOHANG when none has ended */
export function waitExit(
  type: number,
  id: number,
  options = 0,
): (ExitStatus & { pid: number }) | undefined {
  const info = siginfo.alloc();
  retryInterrupted(() =>
    check("waitid", () => ({ id }), libc.waitid(type, id, info, WEXITED | options)),
  );
  const pid = siginfo.get(info, "pid");
  if (pid === 0) return undefined;
  const status = siginfo.get(info, "status");
  return siginfo.get(info, "code") === CLD_EXITED
    ? { pid, code: status }
    : { pid, code: 128 + status, signal: status };
}

/** prctl(2) with integer arguments. */
export function prctl(option: number, arg2 = 0, arg3 = 0): number {
  return check("prctl", () => ({ option, arg2, arg3 }), libc.prctl(option, arg2, arg3, 0, 0));
}

/** prctl(2), PR_CAPBSET_DROP. @returns false when the kernel knows no capability of that number */
export function dropBoundingCapability(capability: number): boolean {
  const args = () => ({ option: "PR_CAPBSET_DROP", capability });
  const result = checkUnless(
    "prctl",
    ["EINVAL"],
    args,
    libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0),
  );
  return result !== undefined;
}

/** prctl(2) with a string. */
export function prctlString(option: number, text: string): void {
  check("prctl", () => ({ option, text }), libc.prctl_ptr(option, cString(text), 0, 0, 0));
}

/** setsid(2). @returns the new session's id */
export const setsid = (): number => check("setsid", {}, libc.setsid());
/** umask(2). @returns the old mask */
export const umask = (mask: number): number => libc.umask(mask);

/** setgroups(2), then setresgid(2), then setresuid(2): the order that cannot leave a privileged group behind. */
export function setCredentials(uid: number, gid: number, groups: readonly number[]): void {
  const list = new Uint32Array([...groups, 0]);
  check(
    "setgroups",
    () => ({ groups: groups.join(",") }),
    libc.setgroups(SYS.setgroups, groups.length, list),
  );
  check("setresgid", () => ({ gid }), libc.setresgid(SYS.setresgid, gid, gid, gid));
  check("setresuid", () => ({ uid }), libc.setresuid(SYS.setresuid, uid, uid, uid));
}

/** capset(2), version 3, for the calling thread. Bit n of a set is capability n. */
export function capset(effective: bigint, permitted: bigint, inheritable: bigint): void {
  const header = new Uint32Array([0x20080522, 0]);
  const low = (set: bigint) => Number(set & 0xffffffffn);
  const high = (set: bigint) => Number(set >> 32n);
  const data = new Uint32Array([
    low(effective),
    low(permitted),
    low(inheritable),
    high(effective),
    high(permitted),
    high(inheritable),
  ]);
  check(
    "capset",
    () => ({ permitted: permitted.toString(16) }),
    libc.capset(SYS.capset, header, data),
  );
}

/** capget(2): the permitted capabilities of the calling thread. Bit n is capability n. */
export function permittedCapabilities(): bigint {
  const header = new Uint32Array([0x20080522, 0]);
  const data = new Uint32Array(6); // effective, permitted, inheritable: low words, then high words
  check("capget", {}, libc.capget(SYS.capget, header, data));
  return BigInt(data[1] as number) | (BigInt(data[4] as number) << 32n);
}

/** setrlimit(2) of the calling process. Values in the resource's own unit; RLIM_INFINITY is 2^64-1. */
export function setrlimit(resource: number, soft: bigint, hard: bigint, name: string): void {
  const limit = new BigUint64Array([soft, hard]);
  check("setrlimit", () => ({ name, soft, hard }), libc.prlimit(0, resource, limit, null));
}

/** getrlimit(2) of the calling process. */
export function getrlimit(resource: number): { soft: bigint; hard: bigint } {
  const limit = new BigUint64Array(2);
  check("getrlimit", () => ({ resource }), libc.prlimit(0, resource, null, limit));
  return { soft: limit[0] as bigint, hard: limit[1] as bigint };
}

/** Unblocks every signal in the calling thread (sigprocmask(2), SIG_SETMASK). */
export function unblockSignals(): void {
  check("sigprocmask", {}, libc.sigprocmask(2, new Uint8Array(128), null));
}

/** Gives every signal its default action again: execve(2) keeps ignored ones ignored. */
export function resetSignals(): void {
  const action = new Uint8Array(32);
  for (let signal = 1; signal <= 64; signal++) {
    if (signal !== SIGNALS.SIGKILL && signal !== SIGNALS.SIGSTOP)
      libc.rt_sigaction(SYS.rt_sigaction, signal, action, null, 8);
  }
}

/** signal(2) with SIG_DFL. */
export function defaultSignal(signal: number): void {
  const SIG_DFL = 0;
  libc.signal(signal, SIG_DFL);
}

/** signal(2) with SIG_IGN. */
export function ignoreSignal(signal: number): void {
  const SIG_IGN = 1;
  libc.signal(signal, SIG_IGN);
}

/** alarm(2): SIGALRM after so many seconds; 0 takes it back. */
export function alarm(seconds: number): void {
  libc.alarm(seconds);
}

/** sethostname(2). */
export function sethostname(name: string): void {
  const bytes = encodeBytes(name);
  check("sethostname", { name }, libc.sethostname(bytes, bytes.length));
}

/** setdomainname(2). */
export function setdomainname(name: string): void {
  const bytes = encodeBytes(name);
  check("setdomainname", { name }, libc.setdomainname(bytes, bytes.length));
}
