/** `attach`, and `start -a -i`: a container in the background with the caller's streams. */
import { ClientError, MydockerError } from "../errors.ts";
import { encodeBytes } from "../ffi/bytes.ts";
import { close, writeAll } from "../linux/fd.ts";
import { isTerminal } from "../linux/tty.ts";
import type { Paths } from "../paths.ts";
import { DEFAULT_DETACH_KEYS, DetachKeys, parseDetachKeys } from "./attach_keys.ts";
import { frameJson, say, TAG } from "./attach_protocol.ts";
import { AttachSession } from "./attach_session.ts";
import { ContainerStore } from "./container_store.ts";
import { recordContainerEvent } from "./events.ts";
import type { ExecRequest } from "./lifecycle_exec.ts";
import {
  type FoundContainer,
  findContainer,
  isRestarting,
  RunningProcess,
  recordOf,
} from "./lifecycle_process.ts";
import { startMonitor } from "./monitor_request.ts";
import { connectToMonitor } from "./monitor_socket.ts";
import { recover } from "./recovery.ts";
import type { RunOptions, StreamKind } from "./run_options.ts";
import { SignalQueue } from "./signals.ts";
import { RawTerminal } from "./terminal.ts";

/** How to attach. */
export interface AttachOptions {
  /** Send standard input, if the container has any. */
  readonly input: boolean;
  readonly sigProxy: boolean;
  /** Which outputs are shown; all when absent. */
  readonly shown?: readonly StreamKind[];
  /** as given; Docker's when absent, for terminals */
  readonly detachKeys?: string;
}

/** The exit code of a container whose monitor was killed. */
const LOST = 137;

/**
 * Attaches to a container that runs in the background, until it ends.
 * @returns its exit code
 * @throws {MydockerError} when it does not run, or the caller has detached by keys
 */
export async function attachTo(
  paths: Paths,
  reference: string,
  options: AttachOptions,
): Promise<number> {
  const found = findContainer(paths, reference);
  checkRuns(found);
  recordContainerEvent(paths, recordOf(found), "attach");
  const code = await attend(found, options, () => connect(found, options));
  if (code === undefined) {
    recordContainerEvent(paths, recordOf(found), "detach");
    throw new MydockerError("read escape sequence");
  }
  return code;
}

/**
 * Starts a container, attached from the beginning; one that runs already is only attached to.
 * @returns its exit code; 0 when the caller has detached
 */
export async function startAttached(
  paths: Paths,
  reference: string,
  options: AttachOptions,
): Promise<number> {
  const found = findContainer(paths, reference);
  const isRunning = runs(found);
  if (isRunning) checkRuns(found);
  const begin = () =>
    isRunning
      ? connect(found, options)
      : startMonitor({ kind: "start", id: found.id, attach: { input: options.input } }).socket;
  recordContainerEvent(paths, recordOf(found), "attach");
  const code = await attend(found, options, begin);
  if (code === undefined) recordContainerEvent(paths, recordOf(found), "detach");
  return code ?? 0;
}

/**
 * Runs a container that is to be started again when it ends, so that it outlives its caller: in the
 * background, attached until it ends the first time.
 * @returns its exit code; 0 when the caller has detached
 */
export async function runAttached(
  paths: Paths,
  options: RunOptions,
  detachKeys?: string,
): Promise<number> {
  const { tty, sigProxy, attach } = options;
  const input = options.interactive;
  if (input && tty && !isTerminal(0)) throw new ClientError("the input device is not a TTY");
  const { id, socket } = startMonitor({ kind: "run", options, attach: { input } });
  if (attach?.every((stream) => stream === "stdin") === true) {
    writeAll(1, encodeBytes(`${id}\n`)); // as Docker does, since nothing else is shown
    if (!input) return 0;
  }
  const found = { paths, store: new ContainerStore(paths), id };
  const how = {
    ...{ input, sigProxy },
    ...(detachKeys === undefined ? {} : { detachKeys }),
    ...(attach === undefined ? {} : { shown: attach }),
  };
  return (await attend(found, how, () => socket)) ?? 0;
}

/** The monitor of a command was killed, and the command with it. */
const COMMAND_LOST = 137;

/**
 * Executes a command on a terminal, which can be left by keys: a process of its own attends to it.
 * @returns its exit code
 * @throws {MydockerError} when it cannot be, or the caller has detached by keys
 */
export async function execAttached(
  container: string,
  request: ExecRequest,
  detachKeys: string | undefined,
): Promise<number> {
  if (!isTerminal(0)) throw new MydockerError("the input device is not a TTY");
  const keys = parseDetachKeys(detachKeys || DEFAULT_DETACH_KEYS);
  using signals = new SignalQueue();
  const { socket } = startMonitor({ kind: "exec", container, request, attach: { input: true } });
  using raw = new RawTerminal(0);
  const session = new AttachSession({
    ...{ socket, input: true, tty: true, keys: new DetachKeys(keys), signals, isCommand: true },
  });
  const end = await session.run();
  raw[Symbol.dispose]();
  close(socket);
  if (end.kind === "ended") return end.exitCode;
  if (end.kind === "lost") return COMMAND_LOST;
  if (end.byKeys) throw new MydockerError("read escape sequence");
  return 0;
}

function runs(found: FoundContainer): boolean {
  using process = RunningProcess.of(found);
  return process !== undefined;
}

function checkRuns(found: FoundContainer): void {
  using process = RunningProcess.of(found);
  if (isRestarting(found)) {
    throw new MydockerError(
      "You cannot attach to a restarting container, wait until it is running",
    );
  }
  if (process === undefined) {
    throw new MydockerError("You cannot attach to a stopped container, start it first");
  }
  if (process.cgroup.frozen()) {
    throw new MydockerError("You cannot attach to a paused container, unpause it first");
  }
}

function connect({ paths, id }: FoundContainer, { input }: AttachOptions): number {
  const socket = connectToMonitor(paths, id);
  if (socket === undefined) {
    throw new MydockerError(`container ${id.slice(0, 12)} runs in another command's foreground`, {
      hint: "only what was started with -d, or by `start`, can be attached to",
    });
  }
  say(socket, frameJson(TAG.attach, { input }));
  return socket;
}

/** @returns the container's exit code; undefined when the caller has left it by keys */
async function attend(
  found: FoundContainer,
  { input, sigProxy, detachKeys, shown }: AttachOptions,
  begin: () => number,
): Promise<number | undefined> {
  const { options } = recordOf(found);
  const typing = input && options.interactive;
  if (typing && options.tty && !isTerminal(0)) {
    throw new MydockerError("the input device is not a TTY");
  }
  const usual = options.tty ? DEFAULT_DETACH_KEYS : undefined;
  const keys = detachKeys || usual;
  const bytes = keys === undefined ? new Uint8Array(0) : parseDetachKeys(keys);
  using signals = new SignalQueue();
  const socket = begin();
  using process = RunningProcess.of(found);
  using raw = typing && options.tty ? new RawTerminal(0) : undefined;
  const session = new AttachSession({
    socket,
    input: typing,
    tty: options.tty,
    keys: new DetachKeys(bytes),
    signals,
    ...(shown === undefined ? {} : { shown }),
    ...(sigProxy ? { forward: (signal) => process?.signal(signal) } : {}),
  });
  const end = await session.run();
  raw?.[Symbol.dispose]();
  close(socket);
  if (end.kind === "ended") return end.exitCode;
  if (end.kind === "detached") return end.byKeys ? undefined : 0;
  recover(found.paths);
  return found.store.readExit(found.id)?.exitCode ?? LOST;
}
