/** `exec` of the OCI runtime: a further process in a container that runs. */
import { openRecord } from "../cgroups/record.ts";
import { MydockerError } from "../errors.ts";
import { Flags } from "../ffi/call.ts";
import { forkWithNamespaces } from "../ffi/fork.ts";
import { close, O, open } from "../linux/fd.ts";
import { writeControl } from "../linux/file.ts";
import {
  CLONE,
  exitNow,
  PR_SET_DUMPABLE,
  prctl,
  setCredentials,
  setns,
  setsid,
  umask,
} from "../linux/process.ts";
import { openProcess } from "../linux/process_identity.ts";
import { Procfs } from "../linux/procfs.ts";
import { replaceFile } from "../linux/replace_file.ts";
import { messagePair } from "../linux/socket.ts";
import { windowSizeOf } from "../linux/tty.ts";
import { FLAGS } from "../namespaces/namespaces.ts";
import { openTerminal } from "../rootfs/console.ts";
import type { CompiledFilter } from "../seccomp/filter.ts";
import { homeOf } from "./account.ts";
import { executeCommand, findCommand } from "./command.ts";
import { sendConsole } from "./create.ts";
import { type Entry, enterProcess, takeDescriptors } from "./enter.ts";
import type { Streams } from "./init_plan.ts";
import { awaitCommand, type Started } from "./launch.ts";
import { filterOf } from "./oci_seccomp.ts";
import { tell } from "./protocol.ts";
import type { Process, Spec } from "./spec.ts";
import { StartError } from "./start_error.ts";
import { statusOf } from "./state.ts";
import type { RuntimeStore } from "./store.ts";
import { waitFor } from "./watch.ts";

/** What `exec` is told on its command line. */
export interface ExecOptions {
  readonly process: Process;
  readonly consoleSocket?: string;
  readonly pidfdSocket?: string;
  readonly pidFile?: string;
  readonly preserveFds: number;
  readonly detached: boolean;
  readonly ignorePaused: boolean;
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
  if (pidfd === undefined)
    throw new MydockerError(
      `cannot exec in a container that is not running: ${id}: container not running`,
    );
  checkTerminal(options);
  const spec = store.readConfig(id);
  const started = join(pidfd, {
    spec,
    process: options.process,
    streams: streamsOf(options),
    joinFiles: openRecord(record.cgroup).joinFiles,
    seccomp: filterOf(spec),
  });
  const { pidFile, consoleSocket } = options;
  if (consoleSocket !== undefined && started.console !== undefined) {
    sendConsole(consoleSocket, started.console);
  }
  if (pidFile !== undefined) replaceFile(pidFile, String(started.pid), { mode: 0o644 });
  return started;
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

/** All that the joining process needs, computed before the fork. */
interface JoinPlan {
  readonly spec: Spec;
  readonly process: Process;
  readonly streams: Streams;
  readonly joinFiles: readonly string[];
  readonly seccomp: CompiledFilter | undefined;
}

function join(pidfd: number, plan: JoinPlan): Started {
  const types = new Set(plan.spec.linux.namespaces.map(({ type }) => type));
  let flags = 0;
  for (const type of types) if (type !== "pid") flags |= FLAGS[type];
  const [ours, theirs] = messagePair();
  // Of the pid namespace only children of ours are: so it is joined before the fork, and never left.
  if (types.has("pid")) setns(pidfd, CLONE.CLONE_NEWPID);
  const child = forkWithNamespaces(0, { flags: new Flags(CLONE, 0) });
  if (child === undefined) {
    close(ours);
    return runJoin(plan, { pidfd, flags, socket: theirs });
  }
  close(theirs);
  close(pidfd);
  try {
    return waitFor(awaitCommand(ours, child));
  } finally {
    close(ours);
  }
}

interface Way {
  readonly pidfd: number;
  /** CLONE_NEW* of the namespaces that are joined */
  readonly flags: number;
  readonly socket: number;
}

/** Runs in the forked child; synchronous code only. Ends in execve(2) or _exit(2), never returns. */
function runJoin(plan: JoinPlan, { pidfd, flags, socket }: Way): never {
  let channel = socket;
  try {
    umask(0);
    prctl(PR_SET_DUMPABLE, 0); // before we are in sight of the container's processes (CVE-2016-9962)
    setsid();
    for (const file of plan.joinFiles) writeControl(file, "0");
    const { oomScoreAdj } = plan.process;
    using procfs = new Procfs();
    if (oomScoreAdj !== undefined) procfs.write("self/oom_score_adj", String(oomScoreAdj));
    if (flags !== 0) setns(pidfd, flags);
    if ((flags & CLONE.CLONE_NEWUSER) !== 0) setCredentials(0, 0, []);
    const entry = enterAs(plan, channel);
    [channel = -1] = takeDescriptors(entry, [channel]);
    enterProcess(entry);
    executeCommand(findCommand(entry), entry, { socket: channel, reaper: false });
  } catch (error) {
    const exitCode = error instanceof StartError ? error.exitCode : 125;
    const message = error instanceof Error ? error.message : String(error);
    try {
      tell(channel, { kind: "failed", message, exitCode });
    } catch {
      // The other side is gone: nobody is left to tell.
    }
  }
  return exitNow(1);
}

function enterAs({ process, streams, seccomp }: JoinPlan, channel: number): Entry {
  const root = open("/", O.O_PATH | O.O_DIRECTORY);
  let master: number | undefined;
  if (process.terminal) {
    master = openTerminal(root);
    tell(channel, { kind: "console" }, master);
  }
  const { user, env } = process;
  const hasHome = env.some((variable) => variable.startsWith("HOME="));
  return {
    process,
    user: { ...user, env: hasHome ? env : [...env, `HOME=${homeOf(root, user.uid)}`] },
    streams,
    ...(master === undefined ? {} : { master }),
    ...(seccomp === undefined ? {} : { seccomp }),
    dieWithParent: false,
    ownsTerminal: true,
  };
}
