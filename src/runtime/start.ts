/** `start` of the OCI runtime: a container that was created executes its command. */
import { MydockerError } from "../errors.ts";
import { close } from "../linux/fd.ts";
import { receiveMessage } from "../linux/socket.ts";
import { deleteContainer } from "./delete.ts";
import type { Outlook } from "./executable.ts";
import { runHooks, stateWithPid } from "./hooks.ts";
import { executionError } from "./launch_error.ts";
import { parseMessage, signal } from "./protocol.ts";
import { hookState, statusOf } from "./state.ts";
import type { ContainerRecord, RuntimeStore } from "./store.ts";

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
    awaitExec(socket, id);
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

function awaitExec(socket: number, id: string): void {
  for (let outlook: Outlook | undefined; ; ) {
    const received = receiveMessage(socket);
    if (received === undefined) {
      if (outlook !== undefined) return;
      throw new MydockerError(
        `cannot start ${id}: its first process is gone, or another start won`,
      );
    }
    const message = parseMessage(received.bytes);
    if (message.kind === "exec") outlook = message.outlook;
    if (message.kind === "returned") throw executionError(outlook, message.value);
    if (message.kind === "failed") throw new MydockerError(message.message);
  }
}
