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
import { applyAffinity, applyAttributes } from "./attributes.ts";
import { executeCommand, findCommand } from "./command.ts";
import { type Entry, enterProcess, takeDescriptors } from "./enter.ts";
import type { Streams } from "./init_plan.ts";
import { openLabel } from "./labels.ts";
import { awaitCommand, type Started } from "./launch.ts";
import { filterOf } from "./oci_seccomp.ts";
import { tell } from "./protocol.ts";
import { enterKeyring } from "./security.ts";
import { sendDescriptor } from "./send_descriptor.ts";
import type { Process, Spec } from "./spec.ts";
import { StartError } from "./start_error.ts";
import { statusOf } from "./state.ts";
import type { RuntimeStore } from "./store.ts";
import { unsupportedProcess } from "./unsupported.ts";
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
  const lacking = unsupportedProcess(options.process);
  if (lacking !== undefined) throw lacking;
  const spec = store.readConfig(id);
  const started = join(pidfd, {
    spec,
    process: options.process,
    streams: streamsOf(options),
    joinFiles: openRecord(record.cgroup).joinFiles,
    seccomp: filterOf(spec),
    ...(record.keyring === true ? { keyring: id } : {}),
  });
  const { pidFile, consoleSocket, pidfdSocket } = options;
  if (consoleSocket !== undefined && started.console !== undefined) {
    sendDescriptor(consoleSocket, "/dev/ptmx", started.console);
  }
  if (pidfdSocket !== undefined) sendDescriptor(pidfdSocket, "pidfd", started.pidfd);
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
  /** The container's id, whose session keyring it shares; absent when the container has none. */
  readonly keyring?: string;
}

function join(pidfd: number, plan: JoinPlan): Started {
  const types = new Set(plan.spec.linux.namespaces.map(({ type }) => type));
  let flags = 0;
  for (const type of types) if (type !== "pid") flags |= FLAGS[type];
  const [ours, theirs] = messagePair();
  // Of a pid namespace only children are: this one is born there.
  const own = types.has("pid") ? open("/proc/self/ns/pid", O.O_RDONLY) : undefined;
  const child = forkWithNamespaces(
    0,
    { flags: new Flags(CLONE, 0) },
    own === undefined ? undefined : { enter: pidfd, own },
  );
  if (child === undefined) {
    close(ours);
    return runJoin(plan, { pidfd, flags, socket: theirs });
  }
  if (own !== undefined) close(own);
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
    const { initial, final } = plan.process.execCPUAffinity ?? {};
    applyAffinity(initial);
    for (const file of plan.joinFiles) writeControl(file, "0");
    applyAffinity(final);
    if (plan.keyring !== undefined) enterKeyring(plan.keyring, plan.spec.linux.namespaces);
    const { oomScoreAdj } = plan.process;
    using procfs = new Procfs();
    if (oomScoreAdj !== undefined) procfs.write("self/oom_score_adj", String(oomScoreAdj));
    const opened = openLabel(plan.process);
    const label = opened === undefined ? {} : { label: opened };
    if (flags !== 0) setns(pidfd, flags);
    if ((flags & CLONE.CLONE_NEWUSER) !== 0) setCredentials(0, 0, []);
    const { numbers, entry } = takeDescriptors({ ...enterAs(plan, channel), ...label }, [channel]);
    channel = numbers[0] as number;
    applyAttributes(entry.process, plan.spec.linux);
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
