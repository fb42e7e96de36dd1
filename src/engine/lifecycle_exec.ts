/** `exec`: a further process in a container that runs, with what the container's own has. */
import { MydockerError } from "../errors.ts";
import { AT_EMPTY_PATH, close, O, open, pipe } from "../linux/fd.ts";
import { chownAt, readFile } from "../linux/file.ts";
import { defaultSignal, SIGNALS, umask } from "../linux/process.ts";
import { getWindowSize } from "../linux/tty.ts";
import type { Paths } from "../paths.ts";
import { joinContainer } from "../runtime/exec.ts";
import type { Streams } from "../runtime/init_plan.ts";
import type { Started } from "../runtime/launch.ts";
import { LaunchError } from "../runtime/launch_error.ts";
import type { Process, Spec } from "../runtime/spec.ts";
import { newContainerId } from "./container_id.ts";
import type { ContainerRecord } from "./container_record.ts";
import { recordContainerEvent } from "./events.ts";
import { type Pipes, superviseForeground } from "./foreground.ts";
import { ownCapabilities } from "./host_facts.ts";
import { imageConfigOf } from "./lifecycle_open.ts";
import {
  type FoundContainer,
  findContainer,
  RunningProcess,
  recordOf,
  refuseRestarting,
} from "./lifecycle_process.ts";
import { chooseSeccomp } from "./seccomp_choice.ts";
import { SignalQueue } from "./signals.ts";

/** What `exec` was asked for. */
export interface ExecRequest {
  readonly args: readonly string[];
  readonly detach: boolean;
  readonly interactive: boolean;
  readonly tty: boolean;
  readonly privileged: boolean;
  /** as `env` of RunOptions */
  readonly env: readonly string[];
  /** user[:group]; the container's when absent */
  readonly user?: string;
  /** absolute; the container's when absent */
  readonly workdir?: string;
}

/**
 * Runs a command in a container, and attends to it until it has ended.
 * @returns its exit code
 * @throws {MydockerError} when the container does not run, or the command cannot
 */
export async function execInContainer(
  paths: Paths,
  reference: string,
  request: ExecRequest,
): Promise<number> {
  using signals = new SignalQueue();
  const { started, pipes, sayEnd } = await startIn(paths, reference, request);
  const { code } = await superviseForeground({
    started,
    ...(pipes === undefined ? {} : { pipes }),
    interactive: request.interactive,
    signals,
    proxySignals: true,
    ownPidNamespace: false, // it is not the first one there: signals mean to it what they mean
    killRest: () => undefined,
  });
  sayEnd(code);
  return code;
}

/** A command that runs in a container: a child of ours. */
export interface StartedExec {
  readonly started: Started;
  /** absent with a terminal, and when it is detached */
  readonly pipes?: Pipes;
  /** Tells who listens for events that it has ended. */
  readonly sayEnd: (exitCode: number) => void;
}

/** Starts a command in a container. @throws {MydockerError} see {@link execInContainer} */
export async function startIn(
  paths: Paths,
  reference: string,
  request: ExecRequest,
): Promise<StartedExec> {
  umask(0o022);
  defaultSignal(SIGNALS.SIGCHLD); // ignored, children would be gone before they are waited for
  const found = findContainer(paths, reference);
  const record = recordOf(found);
  refuseRestarting(found);
  using first = RunningProcess.of(found);
  if (first === undefined) throw new MydockerError(`container ${found.id} is not running`);
  if (first.cgroup.frozen()) {
    throw new MydockerError(`container ${reference} is paused, unpause the container before exec`);
  }
  using streams = new DisposableStack();
  const spec: Spec = JSON.parse(readFile(found.store.configPath(found.id)));
  const { given, ours } = openStreams(request, spec, streams);
  const execID = newContainerId();
  const tell = (action: string, more?: Readonly<Record<string, string>>) =>
    recordContainerEvent(paths, found.store.current(record), action, { execID, ...more });
  const command = request.args.join(" ");
  tell(`exec_create: ${command}`);
  const started = await start(found, record, first, { spec, request, given });
  tell(`exec_start: ${command}`);
  for (const fd of given.stdio ?? []) close(fd);
  streams.move(); // ours stay open: they belong to whoever supervises it
  const sayEnd = (exitCode: number) => tell("exec_die", { exitCode: String(exitCode) });
  return { started, sayEnd, ...(ours === undefined ? {} : { pipes: ours }) };
}

interface Work {
  readonly spec: Spec;
  readonly request: ExecRequest;
  readonly given: Streams;
}

async function start(
  { id }: FoundContainer,
  record: ContainerRecord,
  first: RunningProcess,
  { spec, request, given }: Work,
): Promise<Started> {
  const { options } = record;
  const seccomp = await chooseSeccomp(options, ownCapabilities());
  const user = request.user ?? options.user ?? imageConfigOf(first.paths, record).User ?? "";
  try {
    return joinContainer(id, first.pid, spec.process, {
      pidfd: first.pidfd,
      linux: spec.linux,
      process: processOf(spec, request),
      account: { user, additionalGroups: options.groupAdd },
      streams: given,
      joinFiles: first.cgroup.joinFiles,
      ...(seccomp === undefined ? {} : { seccomp }),
      keyring: id,
    });
  } catch (error) {
    if (!(error instanceof LaunchError)) throw error;
    const exitCode = error.exitCode === 127 ? 127 : 126; // as Docker: 125 would be the client's own
    throw new MydockerError(error.message, { exitCode, cause: error });
  }
}

/** The container's own process with what the request changes. */
function processOf({ process }: Spec, request: ExecRequest): Process {
  const all = ownCapabilities();
  const sets = { bounding: all, effective: all, permitted: all, inheritable: [], ambient: [] };
  return {
    ...process,
    args: request.args,
    terminal: request.tty && !request.detach,
    cwd: request.workdir ?? process.cwd,
    env: environmentOf(process.env, request),
    capabilities: request.privileged ? sets : process.capabilities,
  };
}

function environmentOf(own: readonly string[], { env, tty }: ExecRequest): string[] {
  const variables = new Map<string, string>(tty ? [["TERM", "xterm"]] : []);
  for (const entry of [...own, ...env]) {
    const equals = entry.indexOf("=");
    if (equals === -1) variables.delete(entry);
    else variables.set(entry.slice(0, equals), entry.slice(equals + 1));
  }
  return [...variables].map(([name, value]) => `${name}=${value}`);
}

/** Its standard streams, and our ends of them: nothing when it is detached, a terminal of its own with `-t`. */
function openStreams(
  { detach, interactive, tty }: ExecRequest,
  { linux }: Spec,
  undo: DisposableStack,
): { readonly given: Streams; readonly ours?: Pipes } {
  const held = (fd: number): number => {
    undo.defer(() => close(fd));
    return fd;
  };
  if (detach) {
    const nothing = () => open("/dev/null", O.O_RDWR);
    return { given: { stdio: [nothing(), nothing(), nothing()], stdinIsPipe: false } };
  }
  if (tty) {
    const windowSize = getWindowSize(0) ?? getWindowSize(1);
    return {
      given: { stdinIsPipe: interactive, ...(windowSize === undefined ? {} : { windowSize }) },
    };
  }
  const [stdout, theirStdout] = pipe();
  const [stderr, theirStderr] = pipe();
  const [theirStdin, stdin] = interactive ? pipe() : [open("/dev/null", O.O_RDWR), undefined];
  const ours = { stdout: held(stdout), stderr: held(stderr) };
  const [uid] = linux.uidMappings;
  const [gid] = linux.gidMappings;
  if (uid !== undefined && gid !== undefined) {
    // Only what belongs to an id of its own can its root give away, or open again as /dev/stdout.
    for (const fd of [...(interactive ? [theirStdin] : []), theirStdout, theirStderr]) {
      chownAt(fd, "", uid.hostID, gid.hostID, AT_EMPTY_PATH);
    }
  }
  return {
    given: { stdio: [theirStdin, theirStdout, theirStderr], stdinIsPipe: interactive },
    ours: stdin === undefined ? ours : { ...ours, stdin: held(stdin) },
  };
}
