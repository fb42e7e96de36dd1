/** Waiting for a forked child that may hang in the JavaScript runtime (ffi/fork.ts). */
import { isErrno } from "../ffi/call.ts";
import { POLLIN, poll } from "../linux/fd.ts";
import { readFile, statIfExists } from "../linux/file.ts";
import { P_PIDFD, pidfdSendSignal, SIGNALS, waitExit } from "../linux/process.ts";
import { identify, killProcess } from "../linux/process_identity.ts";
import { receiveMessage } from "../linux/socket.ts";
import { SYS } from "../linux/syscall_numbers.ts";
import { StuckError } from "./launch_error.ts";

/** A child of ours. */
export interface Child {
  readonly pid: number;
  readonly pidfd: number;
}

/**
 * Something that waits for a child. It stops whenever the child has been silent for a while, so that
 * its caller can look after something else, and give up by throwing into it.
 */
export type Waiting<T> = Generator<void, T, void>;

/** Waits to the end, whatever else happens. */
export function waitFor<T>(waiting: Waiting<T>): T {
  for (;;) {
    const step = waiting.next();
    if (step.done === true) return step.value;
  }
}

/** How often a silent child is looked at, in milliseconds: longer than all of init takes as a rule. */
const WATCH_INTERVAL = 15;
/** How often in a row it may be seen waiting for a lock, which nothing in it does that is alive. */
const WATCH_LIMIT = 3;

/**
 * The next message of a child. A peer that has ended without reading ours is reported first, and
 * once (unix(7)).
 * @param child watched meanwhile: one that waits for a lock instead of saying something is killed
 * @throws {StuckError}
 */
export function* receiveFrom(
  socket: number,
  child: Child,
): Waiting<ReturnType<typeof receiveMessage>> {
  yield* watch(socket, child);
  try {
    return receiveMessage(socket);
  } catch (error) {
    if (!isErrno(error, "ECONNRESET")) throw error;
    return receiveMessage(socket);
  }
}

function* watch(socket: number, child: Child): Waiting<void> {
  const entry = { fd: socket, events: POLLIN, revents: 0 };
  let suspicious = 0;
  while (poll([entry], WATCH_INTERVAL) === 0) {
    const hanging = [child.pid, ...forkedBy(child.pid)].filter(waitsForLock);
    suspicious = hanging.length > 0 ? suspicious + 1 : 0;
    if (suspicious < WATCH_LIMIT) {
      yield;
      continue;
    }
    // A child's child that is in our own pid namespace does not end with it.
    const orphans = hanging.filter((pid) => pid !== child.pid).map(identify);
    endChild(child);
    for (const orphan of orphans) if (orphan !== undefined) killProcess(orphan, KILL_PATIENCE);
    throw new StuckError("the forked child hangs");
  }
}

/** How long a killed child may take to end, in milliseconds. */
const KILL_PATIENCE = 2000;

/**
 * Kills a child and waits for its end; not for ever, because a call to a file system that does not
 * answer may not be interruptible (state D, proc_pid_stat(5)). Then it ends when that call does.
 */
export function endChild({ pidfd }: Child): void {
  pidfdSendSignal(pidfd, SIGNALS.SIGKILL);
  const deadline = Date.now() + KILL_PATIENCE;
  const entry = { fd: pidfd, events: POLLIN, revents: 0 };
  while (poll([entry], Math.max(0, deadline - Date.now())) === 0) {
    if (Date.now() >= deadline) return;
  }
  waitExit(P_PIDFD, pidfd);
}

/**
 * What a child has forked, and what still is this program: with --init, what becomes the command.
 * Not a hook, say, which may wait for whatever it likes. (proc_tid_children(5))
 */
function forkedBy(pid: number): number[] {
  try {
    const own = statIfExists("/proc/self/exe");
    const children = readFile(`/proc/${pid}/task/${pid}/children`).match(/\d+/g) ?? [];
    return children.map(Number).filter((each) => {
      const { ino, devMajor, devMinor } = statIfExists(`/proc/${each}/exe`) ?? {};
      return ino === own?.ino && devMajor === own?.devMajor && devMinor === own?.devMinor;
    });
  } catch (error) {
    // A kernel may not tell (CONFIG_PROC_CHILDREN), nor may one that has just ended.
    if (isErrno(error, "ENOENT", "ESRCH", "EPERM", "EACCES")) return [];
    throw error;
  }
}

/** Whether a process is in futex(2) (proc_pid_syscall(5)): init has one thread and shares no lock. */
function waitsForLock(pid: number): boolean {
  try {
    return readFile(`/proc/${pid}/syscall`).startsWith(`${SYS.futex} `);
  } catch (error) {
    // Without CAP_SYS_PTRACE we may not know, and one that has just ended waits for nothing.
    if (isErrno(error, "ENOENT", "ESRCH", "EPERM", "EACCES")) return false;
    throw error;
  }
}
