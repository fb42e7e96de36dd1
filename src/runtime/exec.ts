/** `exec` of the OCI runtime: a further process in a container that runs. */
import { openRecord } from "../cgroups/record.ts";
import { MydockerError } from "../errors.ts";
import { Flags, isErrno } from "../ffi/call.ts";
import { forkWithNamespaces } from "../ffi/fork.ts";
import { close, O, open, POLLIN, poll } from "../linux/fd.ts";
import { CLONE, PR_SET_DUMPABLE, pidfdSendSignal, prctl } from "../linux/process.ts";
import { openProcess } from "../linux/process_identity.ts";
import { replaceFile } from "../linux/replace_file.ts";
import { messagePair } from "../linux/socket.ts";
import { windowSizeOf } from "../linux/tty.ts";
import { withGrantable } from "./grantable.ts";
import { stateWithPid } from "./hooks.ts";
import type { Streams } from "./init_plan.ts";
import { isBornInside, type JoinPlan, mayHide, runJoined } from "./join.ts";
import { awaitCommand, awaitForked, type LaunchSteps, type Started } from "./launch.ts";
import { LaunchError, StuckError } from "./launch_error.ts";
import { filterOf } from "./oci_seccomp.ts";
import { sendProcessState } from "./process_state.ts";
import { sendDescriptor } from "./send_descriptor.ts";
import type { Process } from "./spec.ts";
import { spawnStage } from "./stage.ts";
import { hookState, statusOf } from "./state.ts";
import type { RuntimeStore } from "./store.ts";
import { unsupportedProcess } from "./unsupported.ts";
import { endChild, type Waiting, waitFor } from "./watch.ts";

/** What `exec` is told on its command line. */
export interface ExecOptions {
  readonly process: Process;
  readonly consoleSocket?: string;
  readonly pidfdSocket?: string;
  readonly pidFile?: string;
  readonly preserveFds: number;
  readonly detached: boolean;
  readonly ignorePaused: boolean;
  /** Is told of what is wrong and yet no error. */
  readonly warn: (message: string) => void;
}

/**
 * Starts a process in a container. It is a child of ours.
 * @throws {MydockerError} when the container does not run; {LaunchError} when the process cannot
 */
export function execInContainer(store: RuntimeStore, id: string, options: ExecOptions): Started {
  const record = store.read(id);
  const status = statusOf(store, record);
  if (status === "paused" && !options.ignorePaused) {
    throw new MydockerError(`cannot exec in a paused container: ${id}`);
  }
  const running = status === "running" || status === "paused" || status === "created";
  const pidfd = running && record.init !== undefined ? openProcess(record.init) : undefined;
  if (pidfd === undefined || record.init === undefined) throw notRunning(id);
  checkTerminal(options);
  const lacking = unsupportedProcess(options.process);
  if (lacking !== undefined) throw lacking;
  const spec = store.readConfig(id);
  const { linux } = spec;
  const plan: JoinPlan = {
    pidfd,
    linux,
    process: withGrantable(options.process, linux.namespaces, options.warn),
    streams: streamsOf(options),
    joinFiles: [...openRecord(record.cgroup).joinFiles, ...(record.resctrl?.tasks ?? [])],
    ...filterOf(linux),
    ...(record.keyring === true ? { keyring: id } : {}),
  };
  let started: Started;
  try {
    started = joinContainer(id, record.init.pid, spec.process, plan, (listener, pid) => {
      const state = stateWithPid(hookState(record, "running"), record.init?.pid ?? 0);
      sendProcessState(linux.seccomp ?? {}, { pid, state }, listener);
    });
  } finally {
    close(pidfd);
  }
  try {
    handOver(options, started);
  } catch (error) {
    endChild(started);
    throw error;
  }
  return started;
}

/**
 * Starts a process in a container: a child of ours.
 * @param pid of the container's first process, which the plan has the pidfd of
 * @param first that process
 * @param listening gets the descriptor on which notifications of its seccomp filter are answered
 * @throws {MydockerError} when the container has ended meanwhile; {LaunchError} when the process cannot start
 */
export function joinContainer(
  id: string,
  pid: number,
  first: Process,
  plan: JoinPlan,
  listening?: LaunchSteps["listening"],
): Started {
  const steps = listening === undefined ? {} : { listening };
  try {
    return startIn(pid, plan, { traced: canTrace(first, plan.process), steps });
  } catch (cause) {
    throw mayBeItsEnd(cause) && endsSoon(plan.pidfd) ? notRunning(id, cause) : cause;
  }
}

/** Whether a process of the container may look into one that is not dumpable. */
const canTrace = (...processes: readonly Process[]): boolean =>
  processes.some(({ capabilities }) => capabilities.bounding.includes("CAP_SYS_PTRACE"));

/** Out of sight, if it can be; in a container that may have one process more, but not two, in sight. */
function startIn(
  pid: number,
  plan: JoinPlan,
  { traced, steps }: { traced: boolean; steps: LaunchSteps },
): Started {
  if (!mayHide(plan)) return startJoined(plan, steps);
  const pidNamespace = openPidNamespace(pid, plan.pidfd);
  try {
    return startJoined({ ...plan, pidNamespace }, steps);
  } catch (error) {
    const isFull = error instanceof LaunchError && isErrno(error.cause, "EAGAIN");
    if (traced || !isFull) throw error;
    return startJoined(plan, steps);
  } finally {
    close(pidNamespace);
  }
}

/** By name: who has become the user that was asked for may not use the pidfd any more (setns(2)). */
function openPidNamespace(pid: number, pidfd: number): number {
  const namespace = open(`/proc/${pid}/ns/pid`, O.O_RDONLY);
  pidfdSendSignal(pidfd, 0); // it is there still, so it is whose namespace was opened
  return namespace;
}

const notRunning = (id: string, cause?: unknown): MydockerError =>
  new MydockerError(
    `cannot exec in a container that is not running: ${id}: container not running`,
    { cause },
  );

/**
 * Whether the end of the container could be what went wrong: a pid namespace that ends cannot be
 * joined (ESRCH) or cloned into (ENOMEM, clone(2)), and has no name any more (ENOENT).
 */
const mayBeItsEnd = (error: unknown): boolean =>
  error instanceof LaunchError
    ? error.exitCode === 125 || isErrno(error.cause, "ESRCH", "ENOMEM")
    : isErrno(error, "ESRCH", "ENOMEM", "ENOENT");

/** Its first process is the last to end of all, on a busy machine some time after it was killed. */
const endsSoon = (pidfd: number): boolean =>
  poll([{ fd: pidfd, events: POLLIN, revents: 0 }], 1000) > 0;

/** The terminal, a pidfd and the pid to whoever asked for them. */
function handOver(
  { pidFile, consoleSocket, pidfdSocket }: ExecOptions,
  { pid, pidfd, console }: Started,
): void {
  if (consoleSocket !== undefined && console !== undefined) {
    sendDescriptor(consoleSocket, "/dev/ptmx", console);
  }
  if (pidfdSocket !== undefined) sendDescriptor(pidfdSocket, "pidfd", pidfd);
  if (pidFile !== undefined) replaceFile(pidFile, String(pid), { mode: 0o644 });
}

/** By a fork; should the forked child hang, or MYDOCKER_FORK=stage say so, by way of a fresh process. */
function startJoined(plan: JoinPlan, steps: LaunchSteps): Started {
  if (process.env["MYDOCKER_FORK"] !== "stage") {
    try {
      return waitFor(joinByFork(plan, steps));
    } catch (error) {
      if (!(error instanceof StuckError)) throw error;
    }
  }
  return waitFor(joinByStage(plan, steps));
}

function* joinByFork(plan: JoinPlan, steps: LaunchSteps): Waiting<Started> {
  const [ours, theirs] = messagePair();
  // Of a pid namespace only children are: this one is born there.
  const own = isBornInside(plan) ? open("/proc/self/ns/pid", O.O_RDONLY) : undefined;
  prctl(PR_SET_DUMPABLE, 0); // passed on: from its first instruction nobody may look into the child
  const child = forkWithNamespaces(
    0,
    { flags: new Flags(CLONE, 0) },
    own === undefined ? undefined : { enter: plan.pidfd, own },
  );
  if (child === undefined) {
    close(ours);
    return runJoined(plan, theirs);
  }
  if (own !== undefined) close(own);
  close(theirs);
  try {
    return yield* awaitCommand(ours, child, steps, { forks: plan.pidNamespace !== undefined });
  } finally {
    close(ours);
  }
}

function* joinByStage(plan: JoinPlan, steps: LaunchSteps): Waiting<Started> {
  const [ours, theirs] = messagePair();
  const stage = spawnStage({ kind: "join", plan }, theirs);
  close(theirs);
  try {
    const child = yield* awaitForked(ours, stage);
    return yield* awaitCommand(ours, child, steps, { forks: plan.pidNamespace !== undefined });
  } finally {
    close(ours);
  }
}

function checkTerminal({ process, consoleSocket, detached }: ExecOptions): void {
  if (process.terminal && detached && consoleSocket === undefined) {
    throw new MydockerError(
      "cannot allocate a terminal without a console socket when detached: --console-socket is missing",
    );
  }
  if (consoleSocket !== undefined && !(process.terminal && detached)) {
    throw new MydockerError("cannot use a console socket without a terminal, or in the foreground");
  }
}

function streamsOf({ process, preserveFds }: ExecOptions): Streams {
  const { consoleSize, terminal } = process;
  return {
    stdinIsPipe: true,
    preserved: preserveFds,
    ...(terminal && consoleSize !== undefined ? { windowSize: windowSizeOf(consoleSize) } : {}),
  };
}
