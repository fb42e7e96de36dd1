/**
 * The monitor of a container in the background: a process of its own, in its own session, that
 * creates or opens the container, starts it, attends to it until its end, and records that
 * (docs/decisions/monitor.md). What it is to do comes as JSON on its standard input; its standard
 * output is a socket to the command that started it (attach_protocol.ts).
 */
import { decodeBytes } from "../ffi/bytes.ts";
import { isErrno } from "../ffi/call.ts";
import { close, dupOnto, F_DUPFD_CLOEXEC, fcntl, O, open } from "../linux/fd.ts";
import { chdir, readToEnd } from "../linux/file.ts";
import {
  defaultSignal,
  ignoreSignal,
  P_PIDFD,
  pidfdSendSignal,
  SIGNALS,
  umask,
  waitExit,
} from "../linux/process.ts";
import { type Paths, statePaths } from "../paths.ts";
import { frameJson, TAG } from "./attach_protocol.ts";
import { type CreatedContainer, createContainer } from "./create.ts";
import type { ProbeRequest } from "./health_probe.ts";
import { cleanUp, writeIdFile } from "./lifecycle.ts";
import type { StartedExec } from "./lifecycle_exec.ts";
import { openContainer } from "./lifecycle_open.ts";
import { NO_LOG } from "./logs_writer.ts";
import { MonitorClient } from "./monitor_client.ts";
import type { MonitorRequest } from "./monitor_request.ts";
import {
  attendRuns,
  failureOf,
  giveBackMemory,
  type MonitoredRun,
  startRun,
} from "./monitor_run.ts";
import { MonitorSession } from "./monitor_session.ts";
import { listenFor, removeSocket } from "./monitor_socket.ts";
import { recover } from "./recovery.ts";
import { chooseRoot } from "./root_choice.ts";
import type { RunOptions } from "./run_options.ts";

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

/** The process's whole work. @returns its exit code */
export async function runMonitor(): Promise<number> {
  const { request, client } = takeOver();
  if (request.kind === "exec") return await attendExec(request, client);
  if (request.kind === "probe") return await attendProbe(request.probe, client);
  const undo = new DisposableStack();
  let first: MonitoredRun;
  try {
    first = await start(request, client, undo);
  } catch (error) {
    cleanUp(undo);
    client.send(frameJson(TAG.failed, failureOf(error)));
    return 1;
  }
  client.send(frameJson(TAG.started, { id: first.container.record.id }));
  if (request.attach === undefined) client.close();
  closeStandardStreams(2); // what it had to say until now was the caller's
  await attendRuns(first, undo);
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
  let exec: StartedExec;
  try {
    const { startIn } = await import("./lifecycle_exec.ts");
    exec = await startIn(statePaths(), container, request);
  } catch (error) {
    client.send(frameJson(TAG.failed, failureOf(error, 1)));
    return 1;
  }
  client.send(frameJson(TAG.started, { id: container }));
  closeStandardStreams(2);
  if (request.detach) {
    client.close();
    giveBackMemory();
    exec.sayEnd(waitExit(P_PIDFD, exec.started.pidfd)?.code ?? 0);
    return 0;
  }
  giveBackMemory();
  attendCommand(exec, client);
  return 0;
}

/** A command on a terminal, and who is attached to it: until that leaves by keys, if it does. */
function attendCommand({ started, pipes, sayEnd }: StartedExec, client: MonitorClient): void {
  const session = new MonitorSession({
    running: { ...started, ...(pipes === undefined ? {} : { pipes }) },
    ...{ listener: -1, clients: [client], log: NO_LOG, interactive: true, stdinOnce: true },
    signal: (signal) => {
      try {
        pidfdSendSignal(started.pidfd, signal);
      } catch (error) {
        if (!isErrno(error, "ESRCH", "EINVAL")) throw error;
      }
    },
    killRest: () => undefined,
  });
  const { code: exitCode } = session.run();
  sayEnd(exitCode);
  session.close();
  session.sayEnd(frameJson(TAG.ended, { exitCode }));
}

/** One probe of a container's health, for its monitor. */
async function attendProbe(request: ProbeRequest, client: MonitorClient): Promise<number> {
  const { probe } = await import("./health_probe.ts");
  await probe(statePaths(), request, (result) => client.send(frameJson(TAG.probed, result)));
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

async function start(
  request: Exclude<MonitorRequest, { kind: "exec" | "probe" }>,
  client: MonitorClient,
  undo: DisposableStack,
): Promise<MonitoredRun> {
  const paths = statePaths();
  recover(paths);
  using unstarted = new DisposableStack();
  const container =
    request.kind === "run"
      ? await make(paths, request.options, undo, unstarted)
      : reopen(paths, request.id, undo, unstarted);
  const listener = listenFor(paths, container.record.id);
  undo.defer(() => removeSocket(paths, container.record.id));
  const clients = request.attach === undefined ? [] : [client];
  const run = await startRun(container, listener, clients);
  unstarted.move();
  return run;
}

async function make(
  paths: Paths,
  options: RunOptions,
  undo: DisposableStack,
  unstarted: DisposableStack,
): Promise<CreatedContainer> {
  const root = await chooseRoot(paths, options);
  const container = await createContainer(paths, options, root, undo, true);
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
  const wasStopped = store.isMarkedStopped(id);
  const untilBoot = wasStopped && !store.isStoppedByHand(id);
  if (wasStopped) store.unmarkStopped(id);
  // One that does not start is as it was.
  unstarted.defer(() => {
    if (last === undefined) store.removeConfig(id);
    else if (!store.hasExit(id)) store.writeExit(id, last);
    if (wasStopped) store.markStopped(id, false, untilBoot);
  });
  return container;
}
