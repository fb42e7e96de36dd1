/**
 * The monitor of a container in the background: a process of its own, in its own session, that
 * creates or opens the container, starts it, attends to it until its end, and records that
 * (docs/decisions/monitor.md). What it is to do comes as JSON on its standard input; its standard
 * output is a socket to the command that started it (attach_protocol.ts).
 */
import { MydockerError } from "../errors.ts";
import { decodeBytes } from "../ffi/bytes.ts";
import { close, dupOnto, F_DUPFD_CLOEXEC, fcntl, O, open } from "../linux/fd.ts";
import { chdir, readToEnd } from "../linux/file.ts";
import {
  defaultSignal,
  ignoreSignal,
  P_PIDFD,
  SIGNALS,
  umask,
  waitExit,
} from "../linux/process.ts";
import { type Paths, statePaths } from "../paths.ts";
import { explainOpenFiles } from "../runtime/rlimits.ts";
import { frameJson, type StartFailure, TAG } from "./attach_protocol.ts";
import { type CreatedContainer, createContainer } from "./create.ts";
import { ownCapabilities } from "./host_facts.ts";
import { announce, cleanUp, recordExit, writeIdFile } from "./lifecycle.ts";
import { openContainer } from "./lifecycle_open.ts";
import { DEFAULT_LOG, openLog } from "./logs_writer.ts";
import { MonitorClient } from "./monitor_client.ts";
import type { MonitorRequest } from "./monitor_request.ts";
import { MonitorSession } from "./monitor_session.ts";
import { listenFor, removeSocket } from "./monitor_socket.ts";
import { recover } from "./recovery.ts";
import { chooseRoot } from "./root_choice.ts";
import type { RunOptions } from "./run_options.ts";
import { chooseSeccomp } from "./seccomp_choice.ts";
import { type RunningContainer, startContainer } from "./start.ts";

/** What would end the monitor and mean somebody else: who closes a terminal, or ends a session. */
const IGNORED = [
  SIGNALS.SIGHUP,
  SIGNALS.SIGINT,
  SIGNALS.SIGQUIT,
  SIGNALS.SIGTERM,
  SIGNALS.SIGUSR1,
  SIGNALS.SIGUSR2,
  SIGNALS.SIGALRM,
];

/** No signal ends a start in the background. */
const UNINTERRUPTED = { endsStart: () => undefined };

/** The process's whole work. @returns its exit code */
export async function runMonitor(): Promise<number> {
  const { request, client } = takeOver();
  if (request.kind === "exec") return await attendExec(request, client);
  const undo = new DisposableStack();
  let started: StartedRun;
  try {
    started = await start(request, client, undo);
  } catch (error) {
    cleanUp(undo);
    client.send(frameJson(TAG.failed, failureOf(error)));
    return 1;
  }
  const { container, running, session, startedAt } = started;
  client.send(frameJson(TAG.started, { id: container.record.id }));
  if (request.attach === undefined) client.close();
  closeStandardStreams(2); // what it had to say until now was the caller's
  giveBackMemory();
  // What this throws ends us without anything given back: then the next command does that.
  const status = session.run();
  if (!container.record.options.remove) recordExit(container, running, status, startedAt);
  session.close();
  cleanUp(undo);
  session.sayEnd(frameJson(TAG.ended, { exitCode: status.code }));
  return 0;
}

/**
 * The parent of a command that was executed in a container, detached: somebody has to wait for it,
 * or the container's first process, the last to end of its pid namespace, never could.
 */
async function attendExec(
  { container, request }: Extract<MonitorRequest, { kind: "exec" }>,
  client: MonitorClient,
): Promise<number> {
  let pidfd: number;
  try {
    const { startIn } = await import("./lifecycle_exec.ts");
    pidfd = (await startIn(statePaths(), container, request)).started.pidfd;
  } catch (error) {
    client.send(frameJson(TAG.failed, failureOf(error, 1)));
    return 1;
  }
  client.send(frameJson(TAG.started, { id: container }));
  client.close();
  closeStandardStreams(2);
  giveBackMemory();
  waitExit(P_PIDFD, pidfd);
  return 0;
}

/** Leaves the caller's directory and streams; what it wrote to our input is our work. */
function takeOver(): { request: MonitorRequest; client: MonitorClient } {
  umask(0o022);
  for (const signal of IGNORED) ignoreSignal(signal);
  defaultSignal(SIGNALS.SIGCHLD); // ignored, children would be gone before they are waited for
  const request: MonitorRequest = JSON.parse(decodeBytes(readToEnd(0)));
  const socket = fcntl(1, F_DUPFD_CLOEXEC, 3);
  closeStandardStreams(0, 1);
  chdir("/");
  return { request, client: new MonitorClient(socket, request.attach) };
}

function closeStandardStreams(...numbers: readonly number[]): void {
  const nothing = open("/dev/null", O.O_RDWR);
  for (const number of numbers) dupOnto(nothing, number);
  close(nothing);
}

/** Starting takes more than watching; a monitor may live for years, among hundreds. */
function giveBackMemory(): void {
  Bun.gc(true);
  Bun.shrink();
}

interface StartedRun {
  readonly container: CreatedContainer;
  readonly running: RunningContainer;
  readonly session: MonitorSession;
  /** RFC 3339 */
  readonly startedAt: string;
}

async function start(
  request: Exclude<MonitorRequest, { kind: "exec" }>,
  client: MonitorClient,
  undo: DisposableStack,
): Promise<StartedRun> {
  const paths = statePaths();
  recover(paths);
  using unstarted = new DisposableStack();
  const container =
    request.kind === "run"
      ? await make(paths, request.options, undo, unstarted)
      : reopen(paths, request.id, undo, unstarted);
  const { id, options } = container.record;
  const seccomp = await chooseSeccomp(options, ownCapabilities());
  const listener = listenFor(paths, id);
  undo.defer(() => removeSocket(paths, id));
  const log = openLog(container.store.logPath(id), options.log ?? DEFAULT_LOG);
  const running = await startContainer(container, undo, UNINTERRUPTED, seccomp);
  unstarted.move();
  const startedAt = new Date().toISOString();
  if (!options.remove) container.keep();
  announce(container, running, startedAt);
  const session = new MonitorSession({
    running,
    listener,
    clients: request.attach === undefined ? [] : [client],
    log,
    interactive: options.interactive,
    stdinOnce: options.stdinOnce === true,
    // With a pid namespace of its own, all of it ends with the first process (pid_namespaces(7)).
    killRest: () => {
      if (options.pid === "host") running.cgroup.kill();
    },
  });
  return { container, running, session, startedAt };
}

async function make(
  paths: Paths,
  options: RunOptions,
  undo: DisposableStack,
  unstarted: DisposableStack,
): Promise<CreatedContainer> {
  const root = await chooseRoot(paths, options);
  const container = createContainer(paths, options, root, undo, true);
  root.hold?.[Symbol.dispose](); // its record keeps the image from now on
  if (options.cidfile !== undefined) writeIdFile(options.cidfile, container.record.id, unstarted);
  return container;
}

function reopen(
  paths: Paths,
  id: string,
  undo: DisposableStack,
  unstarted: DisposableStack,
): CreatedContainer {
  const container = openContainer(paths, id, undo);
  const { store } = container;
  const last = store.readExit(id);
  // One that does not start is as it was.
  unstarted.defer(() => {
    if (last === undefined) store.removeConfig(id);
    else if (!store.hasExit(id)) store.writeExit(id, last);
  });
  return container;
}

/** @param usual the exit code of a failure that has none of its own */
function failureOf(error: unknown, usual = 125): StartFailure {
  const own = error instanceof MydockerError ? error : undefined;
  const said = error instanceof Error ? error.message : String(error);
  return {
    message: explainOpenFiles(error) ?? said,
    exitCode: own === undefined || own.exitCode === 1 ? usual : own.exitCode,
    ...(own?.hint === undefined ? {} : { hint: own.hint }),
  };
}
