/** Starts a container's first process, and follows the protocol of protocol.ts to its end. */
import { Flags, isErrno } from "../ffi/call.ts";
import { forkIntoCgroup, forkWithNamespaces } from "../ffi/fork.ts";
import { close, O, open, POLLIN, poll } from "../linux/fd.ts";
import { writeControl } from "../linux/file.ts";
import {
  CLONE,
  isChild,
  P_PIDFD,
  PR_SET_DUMPABLE,
  pidfdGetFd,
  pidfdOpen,
  prctl,
  waitExit,
} from "../linux/process.ts";
import { messagePair, type receiveMessage } from "../linux/socket.ts";
import { needsStage, writeIdMappings } from "../namespaces/join.ts";
import { cloneFlags, isNew } from "../namespaces/namespaces.ts";
import { cloneMappedSources, mappedSources } from "../rootfs/apply.ts";
import { ABORTS } from "./enter.ts";
import type { Outlook } from "./executable.ts";
import { runInit } from "./init.ts";
import type { InitPlan } from "./init_plan.ts";
import { describeDeath, executionError, LaunchError, StuckError } from "./launch_error.ts";
import { type InitMessage, parseMessage, type Signal, signal } from "./protocol.ts";
import { runBetween, spawnStage } from "./stage.ts";
import { WAITING } from "./trampoline.ts";
import { type Child, endChild, receiveFrom, type Waiting, waitFor } from "./watch.ts";

/** A container's first process: running its command, or waiting to be told to. */
export interface Started extends Child {
  /** the master of its terminal */
  readonly console?: number;
}

/** What the creator does between init's steps. Whatever throws ends init. */
export interface LaunchSteps {
  /** Makes the cgroups and what else is shown from the host, once, while init is already at work. */
  readonly meanwhile?: (pid: number) => void;
  /** Does, after that, what concerns init itself: for each one, should the first hang. */
  readonly forked?: (pid: number) => void;
  /** What nobody waits for, done while init goes on with that. */
  readonly afterwards?: () => void;
  /** Runs hooks while init waits, its root mounted but not entered. */
  readonly mounted?: (pid: number) => void;
  /** Gets the descriptor on which notifications of the seccomp filter are answered; it is closed afterwards. */
  readonly listening?: (listener: number, pid: number) => void;
  /**
   * Puts the container on record: its command waits for `start`, and its first process outlives us. It
   * is told what is known of the command if the process cannot say so itself any more.
   */
  readonly ready?: (started: Started, outlook?: Outlook) => void;
}

/**
 * Starts the first process in its namespaces, and waits until the command is executed; with
 * `plan.startSocket` until it waits to be started. By a fork; should the forked child hang, or
 * MYDOCKER_FORK=stage say so, by way of a fresh process.
 * @throws {LaunchError}
 */
export function launch(plan: InitPlan, steps: LaunchSteps = {}): Started {
  return waitFor(launching(plan, steps));
}

/** {@link launch} for who has something to look after meanwhile; what it throws into this ends init. */
export function* launching(plan: InitPlan, steps: LaunchSteps = {}): Waiting<Started> {
  let prepared = false;
  const once: LaunchSteps = {
    ...steps,
    meanwhile: (pid) => {
      if (!prepared) steps.meanwhile?.(pid);
      prepared = true;
    },
  };
  const mounts = cloneMappedSources(plan.mounts);
  try {
    return yield* launchOnce({ ...plan, mounts }, once);
  } finally {
    for (const fd of mappedSources(mounts)) close(fd);
  }
}

function* launchOnce(plan: InitPlan, steps: LaunchSteps): Waiting<Started> {
  if (process.env["MYDOCKER_FORK"] !== "stage") {
    try {
      return yield* launchByFork(plan, steps);
    } catch (error) {
      if (!(error instanceof StuckError)) throw error;
    }
  }
  return yield* launchByStage(plan, steps);
}

function* launchByFork(plan: InitPlan, steps: LaunchSteps): Waiting<Started> {
  const [ours, theirs] = messagePair();
  const { namespaces } = plan.spec.linux;
  const between = needsStage(namespaces);
  const flags = between ? 0 : cloneFlags(namespaces);
  prctl(PR_SET_DUMPABLE, 0); // passed on: from its first instruction nobody may look into the child
  const { child, entered } = forkAtBirthplace(plan.birthplace, flags);
  if (child === undefined) {
    close(ours);
    const rest = entered ? { ...plan, joinFiles: [] } : plan;
    return between ? runBetween(rest, theirs) : runInit(rest, theirs);
  }
  close(theirs);
  try {
    const init = between ? yield* awaitForked(ours, child) : child;
    return yield* follow(plan, ours, init, steps);
  } finally {
    close(ours);
  }
}

/** Forks into the container's cgroup, so that its limits count whatever init does; its children are there, too. */
function forkAtBirthplace(path: string | undefined, flags: number) {
  const args = { flags: new Flags(CLONE, flags) };
  if (path === undefined) return { child: forkWithNamespaces(flags, args), entered: false };
  const cgroup = open(path, O.O_PATH | O.O_DIRECTORY);
  const forked = forkIntoCgroup(flags, args, cgroup);
  close(cgroup);
  return forked;
}

function* launchByStage(plan: InitPlan, steps: LaunchSteps): Waiting<Started> {
  const [ours, theirs] = messagePair();
  const stage = spawnStage({ kind: "init", plan }, theirs);
  close(theirs);
  try {
    return yield* follow(plan, ours, yield* awaitForked(ours, stage), steps);
  } finally {
    close(ours);
  }
}

/** A child that another process has forked for us, and what it said before that one told us of it. */
interface ForkedChild extends Child {
  readonly early: readonly Received[];
}

type Received = NonNullable<ReturnType<typeof receiveMessage>>;

/** The first process, which another one in between forks; that one is gone then. @throws {LaunchError} */
export function* awaitForked(socket: number, between: Child): Waiting<ForkedChild> {
  const early: Received[] = [];
  try {
    for (;;) {
      const received = yield* receiveFrom(socket, between);
      if (received === undefined) break;
      const message = parseMessage(received.bytes);
      if (message.kind === "forked") {
        waitExit(P_PIDFD, between.pidfd);
        return { pid: message.pid, pidfd: received.fd as number, early };
      }
      early.push(received);
    }
    const status = waitExit(P_PIDFD, between.pidfd);
    const [said] = early.map(({ bytes }) => parseMessage(bytes));
    if (said?.kind === "failed") throw failure(said);
    throw new LaunchError(describeDeath(status?.signal), { exitCode: 125 });
  } finally {
    close(between.pidfd);
  }
}

/** Goes through the steps with init. The socket stays open; what failed leaves no process. */
function* follow(
  plan: InitPlan,
  socket: number,
  child: Child | ForkedChild,
  steps: LaunchSteps,
): Waiting<Started> {
  const { linux, process } = plan.spec;
  const { namespaces, uidMappings, gidMappings } = linux;
  const before = () => {
    if (isNew(namespaces, "user")) {
      writeIdMappings(child.pid, uidMappings, gidMappings);
      letGo(socket, "mapped");
    }
    // Its own file is not for a user namespace's root to write to: it may not be traced.
    if (process.oomScoreAdj !== undefined && namespaces.some(({ type }) => type === "user")) {
      writeControl(`/proc/${child.pid}/oom_score_adj`, String(process.oomScoreAdj));
    }
    steps.meanwhile?.(child.pid);
    steps.forked?.(child.pid);
    letGo(socket, "go");
    steps.afterwards?.();
  };
  return yield* awaitCommand(socket, child, steps, { before });
}

/**
 * Hears what a child says until it executes its command, or is ready to. One that fails, or is
 * failed by a step of ours, is gone afterwards.
 * @param first the child; with `forks` the command is one that it forks
 * @param before is done before it is listened to
 * @throws {LaunchError}
 */
export function* awaitCommand(
  socket: number,
  first: Child | ForkedChild,
  steps: LaunchSteps = {},
  { before, forks = false }: { before?: () => void; forks?: boolean } = {},
): Waiting<Started> {
  let child: Child = first;
  let ended = false;
  let console: number | undefined;
  const keep = (waiting: Started, outlook?: Outlook): Started => {
    steps.ready?.(waiting, outlook);
    letGo(socket, "keep");
    return waiting;
  };
  try {
    try {
      before?.();
    } catch (error) {
      // Of a child that is gone already, what it said is the reason: that is read next.
      if (!isErrno(error, "ENOENT", "ESRCH") || !hasEnded(child)) throw error;
    }
    const early = "early" in first ? [...first.early] : [];
    for (let outlook: Outlook | undefined; ; ) {
      const received = early.shift() ?? (yield* receiveFrom(socket, child));
      if (received === undefined) {
        if (outlook !== undefined && (child !== first || !forks)) return started(child, console);
        ended = true;
        const signal = waitExit(P_PIDFD, child.pidfd)?.signal;
        // A runtime that cannot start a thread aborts: none in another pid namespace (security.ts), nor in
        // a container that is full.
        if (outlook !== undefined || (signal !== undefined && ABORTS.includes(signal)))
          throw new StuckError("the forked child wanted another thread");
        throw new LaunchError(describeDeath(signal), { exitCode: 125 });
      }
      const message = parseMessage(received.bytes);
      switch (message.kind) {
        case "console":
          console = received.fd;
          break;
        case "mounted":
          steps.mounted?.(child.pid);
          letGo(socket, "hooked");
          break;
        case "listening":
          handOver(child, message.fd, steps);
          letGo(socket, "heard");
          break;
        case "ready":
          return keep(started(child, console));
        case "exec":
          outlook = message.outlook;
          break;
        case "returned":
          if (message.value === WAITING && !forks) return keep(started(child, console), outlook);
          if (message.value > 0) child = adopt(child, message.value);
          else throw executionError(outlook, message.value);
          break;
        case "failed":
          if (message.again === true) endChild(child);
          throw failure(message);
      }
    }
  } catch (error) {
    if (!ended && !(error instanceof StuckError)) endChild(child);
    if (console !== undefined) close(console);
    close(child.pidfd);
    throw error;
  }
}

const hasEnded = ({ pidfd }: Child): boolean =>
  poll([{ fd: pidfd, events: POLLIN, revents: 0 }], 0) > 0;

/** What a failure that was told is thrown as. */
function failure(told: Extract<InitMessage, { kind: "failed" }>): LaunchError | StuckError {
  return told.again === true ? new StuckError(told.message) : new LaunchError(told.message, told);
}

/** Goes on with the child that the trampoline has forked for us. @throws {LaunchError} */
function adopt(between: Child, pid: number): Child {
  // It comes through a socket that the container's processes may have got hold of by now.
  if (!isChild(pid)) throw new LaunchError("the command is gone", { exitCode: 125 });
  const child = { pid, pidfd: pidfdOpen(pid) };
  waitExit(P_PIDFD, between.pidfd);
  close(between.pidfd);
  return child;
}

/** Takes the listener from init, which might wait for an answer to its own call if it sent it. */
function handOver({ pid, pidfd }: Child, fd: number, { listening }: LaunchSteps): void {
  if (listening === undefined)
    throw new Error("seccomp: nobody answers this filter's notifications");
  const listener = pidfdGetFd(pidfd, fd);
  try {
    listening(listener, pid);
  } finally {
    close(listener);
  }
}

const started = ({ pid, pidfd }: Child, console: number | undefined): Started => ({
  pid,
  pidfd,
  ...(console === undefined ? {} : { console }),
});

/** Lets init go on. One that has failed already is gone; what it said is read next. */
function letGo(socket: number, word: Signal): void {
  try {
    signal(socket, word);
  } catch (error) {
    if (!isErrno(error, "EPIPE", "ECONNRESET")) throw error;
  }
}
