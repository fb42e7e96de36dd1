/** Starts a container's first process, and watches over the fork. */
import { Flags, isErrno } from "../ffi/call.ts";
import { forkWithNamespaces } from "../ffi/fork.ts";
import { close, POLLIN, poll } from "../linux/fd.ts";
import { readFile } from "../linux/file.ts";
import { CLONE, P_PIDFD, pidfdSendSignal, SIGNALS, waitExit } from "../linux/process.ts";
import { messagePair, receiveMessage } from "../linux/socket.ts";
import { SYS } from "../linux/syscall_numbers.ts";
import { cloneFlags } from "../namespaces/namespaces.ts";
import { runInit } from "./init.ts";
import type { InitPlan } from "./init_plan.ts";
import { parseMessage, signal } from "./protocol.ts";
import { spawnStage } from "./stage.ts";

/** A container's first process: running its command. */
export interface Started {
  /** in the creator's pid namespace */
  readonly pid: number;
  readonly pidfd: number;
  /** the master of its terminal */
  readonly console?: number;
}

/** The container's first process could not be started; nothing of it is left. */
export class LaunchError extends Error {
  override readonly name = "LaunchError";
  /** 125 for our own failure, 126 and 127 for the command's (docker run) */
  readonly exitCode: number;

  constructor(message: string, options: { exitCode: number; cause?: unknown }) {
    super(message, { cause: options.cause });
    this.exitCode = options.exitCode;
  }
}

/** How often a silent child is looked at, in milliseconds: longer than all of init takes as a rule. */
const WATCH_INTERVAL = 15;
/** How often in a row it may be seen waiting for a lock, which nothing in it does that is alive. */
const WATCH_LIMIT = 3;

/** The forked child hangs in the runtime, and is gone now. */
class StuckError extends Error {}

/**
 * Starts the first process in its new namespaces and waits until the command is executed. By a
 * fork; should the forked child hang, or MYDOCKER_FORK=stage say so, by way of a fresh process.
 * @param meanwhile makes what `plan.awaits` names and the cgroups, while init is already at work; it
 *   is told init's pid, unless a fresh process has yet to fork it
 * @param afterwards what nobody waits for, done while init goes on with that
 * @throws {LaunchError}
 */
export function launch(
  plan: InitPlan,
  meanwhile: (pid?: number) => void = () => undefined,
  afterwards: () => void = () => undefined,
): Started {
  let prepared = false;
  const prepare = (pid?: number) => {
    if (!prepared) meanwhile(pid);
    prepared = true;
  };
  if (process.env["MYDOCKER_FORK"] !== "stage") {
    try {
      return launchByFork(plan, prepare, afterwards);
    } catch (error) {
      if (!(error instanceof StuckError)) throw error;
    }
  }
  prepare();
  afterwards();
  return launchByStage(plan);
}

function launchByFork(
  plan: InitPlan,
  meanwhile: (pid: number) => void,
  afterwards: () => void,
): Started {
  const [ours, theirs] = messagePair();
  const flags = cloneFlags(plan.spec.linux.namespaces);
  const child = forkWithNamespaces(flags, { flags: new Flags(CLONE, flags) });
  if (child === undefined) {
    close(ours);
    return runInit(plan, theirs);
  }
  close(theirs);
  try {
    meanwhile(child.pid);
    release(ours);
    afterwards();
  } catch (error) {
    pidfdSendSignal(child.pidfd, SIGNALS.SIGKILL);
    waitExit(P_PIDFD, child.pidfd);
    for (const fd of [child.pidfd, ours]) close(fd);
    throw error;
  }
  return awaitExec(ours, child);
}

/** Lets init go on. One that has failed already is gone; awaitExec hears why. */
function release(socket: number): void {
  try {
    signal(socket, "go");
  } catch (error) {
    if (!isErrno(error, "EPIPE", "ECONNRESET")) throw error;
  }
}

function launchByStage(plan: InitPlan): Started {
  const [ours, theirs] = messagePair();
  spawnStage(plan, theirs);
  close(theirs);
  release(ours);
  return awaitExec(ours);
}

interface Child {
  readonly pid: number;
  readonly pidfd: number;
}

/** Follows the protocol of init.ts to its end. @param forked the child, unless a stage tells */
function awaitExec(socket: number, forked?: Child): Started {
  let child = forked;
  let console: number | undefined;
  let executing = false;
  let failure: LaunchError | undefined;
  try {
    for (;;) {
      if (child !== undefined) watch(socket, child);
      const received = receive(socket);
      if (received === undefined) break;
      const message = parseMessage(received.bytes);
      if (message.kind === "forked") child = { pid: message.pid, pidfd: received.fd as number };
      if (message.kind === "console") console = received.fd;
      if (message.kind === "exec") executing = true;
      if (message.kind === "failed") {
        failure = new LaunchError(message.message, { exitCode: message.exitCode });
      }
    }
    if (child === undefined) {
      throw new LaunchError("the container's first process could not be forked", { exitCode: 125 });
    }
    if (failure === undefined && executing) {
      return { ...child, ...(console === undefined ? {} : { console }) };
    }
    const status = waitExit(P_PIDFD, child.pidfd);
    throw failure ?? new LaunchError(describeDeath(status?.signal), { exitCode: 125 });
  } catch (error) {
    if (console !== undefined) close(console);
    if (child !== undefined) close(child.pidfd);
    throw error;
  } finally {
    close(socket);
  }
}

/** The next message. A peer that has ended without reading ours is reported first, and once (unix(7)). */
function receive(socket: number): ReturnType<typeof receiveMessage> {
  try {
    return receiveMessage(socket);
  } catch (error) {
    if (!isErrno(error, "ECONNRESET")) throw error;
    return receiveMessage(socket);
  }
}

/** Waits for a message; a child that waits for a lock instead of making one is killed. @throws {StuckError} */
function watch(socket: number, child: Child): void {
  const entry = { fd: socket, events: POLLIN, revents: 0 };
  let suspicious = 0;
  while (poll([entry], WATCH_INTERVAL) === 0) {
    suspicious = waitsForLock(child.pid) ? suspicious + 1 : 0;
    if (suspicious < WATCH_LIMIT) continue;
    pidfdSendSignal(child.pidfd, SIGNALS.SIGKILL);
    waitExit(P_PIDFD, child.pidfd);
    throw new StuckError("the forked child hangs");
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

function describeDeath(signal: number | undefined): string {
  const by = Object.entries(SIGNALS).find(([, number]) => number === signal)?.[0];
  if (by === "SIGKILL") {
    return "the container's first process was killed while it was set up; its memory limit may be too low to start in";
  }
  return `the container's first process ended while it was set up${by === undefined ? "" : ` (${by})`}`;
}
