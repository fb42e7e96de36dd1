/** `kill` and `delete` of the OCI runtime. */
import { openRecord } from "../cgroups/record.ts";
import { MydockerError } from "../errors.ts";
import { isErrno } from "../ffi/call.ts";
import { close } from "../linux/fd.ts";
import { kill, pidfdSendSignal, SIGNALS } from "../linux/process.ts";
import { killProcess, openProcess } from "../linux/process_identity.ts";
import { runHooks, stateWithPid } from "./hooks.ts";
import { removeResctrl } from "./resctrl.ts";
import type { Hook } from "./spec.ts";
import { hookState, statusOf } from "./state.ts";
import type { ContainerRecord, RuntimeStore } from "./store.ts";

/** How long the end of a killed first process is waited for, in milliseconds. */
const PATIENCE = 10_000;

/** Clients look for these words. */
const notRunning = (): MydockerError => new MydockerError("container not running");

/**
 * Sends a signal to the first process, or to all of the container's.
 * @throws {MydockerError} when it does not run
 */
export function killContainer(
  store: RuntimeStore,
  id: string,
  { signal, all }: { signal: number; all: boolean },
): void {
  const record = store.read(id);
  if (all) {
    const pids = openRecord(record.cgroup).pids();
    for (const pid of pids) sendTo(pid, signal);
    if (pids.length > 0 || statusOf(store, record) === "stopped") return;
  }
  const status = statusOf(store, record);
  const pidfd =
    record.init === undefined || status === "stopped" ? undefined : openProcess(record.init);
  if (pidfd === undefined) throw notRunning();
  try {
    pidfdSendSignal(pidfd, signal);
  } catch (error) {
    if (isErrno(error, "ESRCH")) throw notRunning();
    throw error;
  } finally {
    close(pidfd);
  }
  // A frozen process gets its SIGKILL when it is thawed.
  if (status === "paused" && signal === SIGNALS.SIGKILL) {
    openRecord(record.cgroup).thaw();
  }
}

function sendTo(pid: number, signal: number): void {
  try {
    kill(pid, signal);
  } catch (error) {
    if (!isErrno(error, "ESRCH")) throw error;
  }
}

/**
 * Removes a container that has stopped, or was never started, with the process that waits to be; with
 * `force` any, and a missing one is fine. Its poststop hooks run last.
 * @param warn is told of hooks that fail
 * @throws {MydockerError}
 */
export async function deleteContainer(
  store: RuntimeStore,
  id: string,
  { force, warn }: { force: boolean; warn: (message: string) => void },
): Promise<void> {
  using lock = store.lock(id);
  if (lock === undefined) {
    if (force) return;
    throw new MydockerError(`container does not exist: ${id}`);
  }
  const record = readOrForget(store, id, force);
  if (record === undefined) return;
  const status = statusOf(store, record);
  // The specification would have a created one refused. Clients rely on what runc does: containerd's
  // shim deletes so what it has created and could not start.
  if (!force && (status === "running" || status === "paused")) {
    throw new MydockerError(`cannot delete container ${id} that is not stopped: ${status}`);
  }
  const hooks = poststopHooks(store, id);
  const cgroup = openRecord(record.cgroup);
  if (status === "paused") cgroup.kill(); // SIGKILL alone would wait until it is thawed
  if (record.init !== undefined && status !== "stopped") killProcess(record.init, PATIENCE);
  cgroup.remove();
  if (record.unit !== undefined) {
    const { endScope } = await import("./systemd_scope.ts");
    endScope(record.unit, cgroup.path, warn);
  }
  if (record.resctrl !== undefined) removeResctrl(record.resctrl);
  store.remove(id);
  if (hooks.length === 0) return;
  const state = stateWithPid(hookState(record, "stopped"), 0);
  runHooks("poststop", hooks, state, (error) => warn(error.message));
}

/** The record; with `force` a container without a readable one is given up. */
function readOrForget(
  store: RuntimeStore,
  id: string,
  force: boolean,
): ContainerRecord | undefined {
  try {
    const record = store.tryRead(id);
    if (record !== undefined) return record;
  } catch (error) {
    if (!force) throw error;
  }
  store.remove(id); // claimed, and given up before anything else was made
  return undefined;
}

function poststopHooks(store: RuntimeStore, id: string): readonly Hook[] {
  try {
    return store.readConfig(id).hooks.poststop ?? [];
  } catch {
    return []; // it was never wholly created
  }
}
