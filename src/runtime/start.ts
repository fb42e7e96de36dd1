/** `start` of the OCI runtime: a container that was created executes its command. */
import { MydockerError } from "../errors.ts";
import { isErrno } from "../ffi/call.ts";
import { close } from "../linux/fd.ts";
import { receiveMessage } from "../linux/socket.ts";
import { deleteContainer } from "./delete.ts";
import type { Outlook } from "./executable.ts";
import { runHooks, stateWithPid } from "./hooks.ts";
import { executionError } from "./launch_error.ts";
import { parseMessage, signal } from "./protocol.ts";
import { hookState, statusOf } from "./state.ts";
import type { ContainerRecord, RuntimeStore } from "./store.ts";
import { EXECUTING } from "./trampoline.ts";

/**
 * Has the first process execute its command, and runs the poststart hooks.
 * @param warn is told of poststop hooks that fail
 * @throws {MydockerError} when it does not wait to be started, or the command cannot be executed
 * @throws {HookError}
 */
export function startContainer(
  store: RuntimeStore,
  id: string,
  warn: (message: string) => void,
): void {
  const record = store.read(id);
  const socket = store.connect(id);
  if (socket === undefined) throw notWaiting(store, record);
  try {
    signal(socket, "start");
    awaitExec(socket, store, record);
  } finally {
    close(socket);
  }
  store.forgetSocket(id);
  runPoststart(store, record, warn);
}

/**
 * Runs the poststart hooks of a container whose command runs. When one fails the container is stopped
 * and deleted (runtime.md, "Lifecycle", step 9).
 * @param warn is told of poststop hooks that fail
 * @throws {HookError}
 */
export function runPoststart(
  store: RuntimeStore,
  record: ContainerRecord,
  warn: (message: string) => void,
): void {
  const hooks = store.readConfig(record.id).hooks.poststart ?? [];
  if (hooks.length === 0) return;
  try {
    runHooks("poststart", hooks, stateWithPid(hookState(record, "running"), record.init?.pid ?? 0));
  } catch (error) {
    deleteContainer(store, record.id, { force: true, warn });
    throw error;
  }
}

function notWaiting(store: RuntimeStore, record: ContainerRecord): MydockerError {
  const status = statusOf(store, record);
  const what =
    status === "stopped"
      ? "cannot start a container that has stopped"
      : status === "creating"
        ? "cannot start a container that is still being created"
        : "cannot start an already running container";
  return new MydockerError(`${what}: ${record.id}`);
}

function awaitExec(socket: number, store: RuntimeStore, record: ContainerRecord): void {
  let outlook = record.outlook;
  for (let executing = false; ; ) {
    const received = receive(socket);
    if (received === undefined) {
      if (executing) return;
      const why = "its first process is gone, or another start won";
      throw new MydockerError(`cannot start ${record.id}: ${why}`);
    }
    const message = parseMessage(received.bytes);
    if (message.kind === "failed") throw new MydockerError(message.message);
    if (message.kind === "exec") outlook = message.outlook;
    else if (message.kind !== "returned") continue;
    else if (message.value !== EXECUTING)
      throw executionError(outlook ?? unseen(store, record), message.value);
    executing = true;
  }
}

/** Nothing could be seen that was wrong with the command. */
function unseen(store: RuntimeStore, { id }: ContainerRecord): Outlook {
  const [command = ""] = store.readConfig(id).process.args;
  return { subject: `exec ${command}`, exitCode: 126 };
}

/** A connection that nobody has taken before the command was executed is reset. */
function receive(socket: number): ReturnType<typeof receiveMessage> {
  try {
    return receiveMessage(socket);
  } catch (error) {
    if (isErrno(error, "ECONNRESET")) return undefined;
    throw error;
  }
}
