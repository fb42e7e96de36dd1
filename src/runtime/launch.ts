/** Starts a container's first process, and watches over the fork. */
import { decodeBytes } from "../ffi/bytes.ts";
import { Flags } from "../ffi/call.ts";
import { forkWithNamespaces } from "../ffi/fork.ts";
import { close, POLLIN, poll } from "../linux/fd.ts";
import { CLONE, P_PIDFD, pidfdSendSignal, SIGNALS, waitExit } from "../linux/process.ts";
import { messagePair, receiveMessage } from "../linux/socket.ts";
import { cloneFlags } from "../namespaces/namespaces.ts";
import { type InitMessage, type InitPlan, runInit } from "./init.ts";

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

/** How long a forked child may take for its first sign of life, in milliseconds. */
const WATCHDOG = 5000;

/**
 * Forks into new namespaces and waits until the command is executed.
 * @throws {LaunchError}
 */
export function launch(plan: InitPlan): Started {
  const [ours, theirs] = messagePair();
  const flags = cloneFlags(plan.spec.linux.namespaces);
  const child = forkWithNamespaces(flags, { flags: new Flags(CLONE, flags) });
  if (child === undefined) {
    close(ours);
    return runInit(plan, theirs);
  }
  close(theirs);
  try {
    const console = awaitExec(ours, child.pidfd);
    return { ...child, ...(console === undefined ? {} : { console }) };
  } catch (error) {
    close(child.pidfd);
    throw error;
  } finally {
    close(ours);
  }
}

/** @returns the terminal's master, if there is one */
function awaitExec(socket: number, pidfd: number): number | undefined {
  let console: number | undefined;
  let executing = false;
  let failure: LaunchError | undefined;
  if (poll([{ fd: socket, events: POLLIN, revents: 0 }], WATCHDOG) === 0) {
    pidfdSendSignal(pidfd, SIGNALS.SIGKILL);
    waitExit(P_PIDFD, pidfd);
    throw new LaunchError("the container's first process did not come alive", { exitCode: 125 });
  }
  for (let received = receiveMessage(socket); received; received = receiveMessage(socket)) {
    const message: InitMessage = JSON.parse(decodeBytes(received.bytes));
    if (message.kind === "console") console = received.fd;
    if (message.kind === "exec") executing = true;
    if (message.kind === "failed") {
      failure = new LaunchError(message.message, { exitCode: message.exitCode });
    }
  }
  if (failure === undefined && executing) return console;
  if (console !== undefined) close(console);
  const status = waitExit(P_PIDFD, pidfd);
  throw failure ?? new LaunchError(describeDeath(status?.signal), { exitCode: 125 });
}

function describeDeath(signal: number | undefined): string {
  const by = Object.entries(SIGNALS).find(([, number]) => number === signal)?.[0];
  if (by === "SIGKILL") {
    return "the container's first process was killed while it was set up; its memory limit may be too low to start in";
  }
  return `the container's first process ended while it was set up${by === undefined ? "" : ` (${by})`}`;
}
