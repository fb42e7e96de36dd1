/** `stop`, `kill`, `pause`, `unpause` and `wait`. */
import { MydockerError, NotFoundError } from "../errors.ts";
import { isErrno } from "../ffi/call.ts";
import { openImageStore } from "../images/store.ts";
import { close, POLLIN, poll } from "../linux/fd.ts";
import { SIGNALS } from "../linux/process.ts";
import type { Paths } from "../paths.ts";
import { type EndMessage, frame, hear, readJson, say, TAG } from "./attach_protocol.ts";
import { thawIfFrozen } from "./container_cgroup.ts";
import type { ContainerRecord } from "./container_record.ts";
import { recordContainerEvent } from "./events.ts";
import {
  awaitRecord,
  type FoundContainer,
  findContainer,
  isRestarting,
  isUpNow,
  RunningProcess,
  refuseRestarting,
  whileRunning,
} from "./lifecycle_process.ts";
import { connectToMonitor } from "./monitor_socket.ts";
import { recover } from "./recovery.ts";
import { NO_RESTART } from "./restart_policy.ts";
import { wouldEnd } from "./signals.ts";

/** Docker's, in seconds. */
const STOP_TIMEOUT = 10;
/** How long a monitor may take to answer, in milliseconds. */
const PATIENCE = 10_000;

/** How `stop` asks. */
export interface StopOptions {
  /** as parsed; the container's own when absent */
  readonly signal?: number;
  /** seconds until it is killed, negative for never; the container's own when absent */
  readonly timeout?: number;
  /** The machine goes down: its restart policy starts it again at the next boot. */
  readonly untilBoot?: boolean;
  /** Reads the name of a signal in an image. */
  readonly parseSignal: (text: string) => number;
}

/**
 * Asks a container to end, and kills it when it does not. One that does not run is fine.
 * @throws {MydockerError} when there is none
 */
export function stopContainer(paths: Paths, reference: string, options: StopOptions): void {
  const found = findContainer(paths, reference);
  // A damaged record keeps nobody from ending what it is about.
  const record = found.store.readIfSound(found.id);
  const { untilBoot = false } = options;
  // What somebody stopped by hand stays so.
  const isNews = restartsOf(record) && !(untilBoot && found.store.isStoppedByHand(found.id));
  if (mayRun(found) || isNews) markStopped(found, record, untilBoot);
  let ran = false;
  while (mayRun(found)) {
    ran = true;
    if (isRestarting(found)) cancelRestart(found);
    else if (!stopProcess(found, record, options)) return;
  }
  awaitRecord(found);
  if (ran) tell(found, "stop", {}, record);
}

/** Whether it runs, or will: of one whose end is not on record yet that is not known. */
const mayRun = (found: FoundContainer): boolean => {
  using process = RunningProcess.of(found);
  return process !== undefined || isRestarting(found);
};

const restartsOf = (record: ContainerRecord | undefined): boolean =>
  (record?.options.restart ?? NO_RESTART).name !== "no";

/** Its restart policy is not to start it again, now or after a boot. */
function markStopped(
  { store, id }: FoundContainer,
  record: ContainerRecord | undefined,
  untilBoot = false,
): void {
  try {
    store.markStopped(id, restartsOf(record), untilBoot);
  } catch (error) {
    // A full disk is no reason to let it run; and one that has just been removed does not run.
    if (!isErrno(error, "ENOSPC", "EDQUOT", "ENOENT")) throw error;
  }
}

/** Tells the monitor of a container that has ended not to start it again, and waits until it has gone. */
function cancelRestart({ paths, id }: FoundContainer): void {
  const socket = connectToMonitor(paths, id);
  if (socket === undefined) {
    Bun.sleepSync(1); // it is just ending
    return;
  }
  try {
    say(socket, frame(TAG.cancel));
    // It may be about to start it, which may take as long as it likes.
    if (poll([{ fd: socket, events: POLLIN, revents: 0 }], PATIENCE) === 0) {
      throw new MydockerError(`the monitor of container ${id.slice(0, 12)} does not answer`, {
        hint: "`mydocker rm -f` ends it",
      });
    }
    hear(socket);
  } finally {
    close(socket);
  }
}

/** @returns false when nobody records its end */
function stopProcess(
  found: FoundContainer,
  record: ContainerRecord | undefined,
  options: StopOptions,
): boolean {
  const { paths } = found;
  using process = RunningProcess.of(found);
  if (process === undefined) return true;
  const signal = options.signal ?? stopSignalOf(paths, record, options.parseSignal);
  const timeout = options.timeout ?? record?.options.stopTimeout ?? STOP_TIMEOUT;
  // What the kernel drops (pid_namespaces(7)) it would be asked in vain: there is nothing to wait for.
  const isDropped = record?.options.pid !== "host" && isUnhandled(process.pid, signal);
  const send = (number: number) => {
    tell(found, "kill", { signal: String(number) }, record);
    process.signal(number);
  };
  send(isDropped ? SIGNALS.SIGKILL : signal);
  thawIfFrozen(process.cgroup); // one that is paused hears of it then
  if (!isDropped && !process.awaitEnd(timeout < 0 ? -1 : timeout * 1000)) send(SIGNALS.SIGKILL);
  process.awaitEnd(-1);
  return awaitRecord(found);
}

/** Tells who listens for events. @param record if it is known */
function tell(
  { paths, store, id }: FoundContainer,
  action: string,
  more: Readonly<Record<string, string>> = {},
  record: ContainerRecord | undefined = store.readIfSound(id),
): void {
  if (record !== undefined) recordContainerEvent(paths, record, action, more);
}

function isUnhandled(pid: number, signal: number): boolean {
  try {
    return wouldEnd(pid, signal);
  } catch {
    return false; // it has just ended
  }
}

function stopSignalOf(
  paths: Paths,
  record: ContainerRecord | undefined,
  parse: (text: string) => number,
): number {
  if (record?.options.stopSignal !== undefined) return record.options.stopSignal;
  const said =
    record?.imageId === undefined
      ? undefined
      : openImageStore(paths.root).getOfContainer(record.imageId)?.config.config?.StopSignal;
  return typeof said === "string" && said !== "" ? parse(said) : SIGNALS.SIGTERM;
}

/**
 * Sends a signal to a container's first process. SIGKILL is waited for.
 * @throws {MydockerError} when it does not run
 */
export function killContainer(
  paths: Paths,
  reference: string,
  signal: number,
  parseSignal: (text: string) => number,
): void {
  const found = findContainer(paths, reference);
  using process = RunningProcess.of(found);
  if (process === undefined) awaitRecord(found); // one that has just ended may be started again
  const isWaiting = isRestarting(found);
  if ((process !== undefined || isWaiting) && meansStop(found, signal, parseSignal)) {
    markStopped(found, found.store.readIfSound(found.id));
  }
  if (isWaiting) {
    // Its monitor may have been telling of the last end, and not have listened.
    while (isRestarting(found)) cancelRestart(found);
    // Or it was just starting it.
    return isUpNow(found) ? killContainer(paths, reference, signal, parseSignal) : undefined;
  }
  if (process === undefined) {
    throw new MydockerError(
      `cannot kill container: ${reference}: container ${found.id} is not running`,
    );
  }
  tell(found, "kill", { signal: String(signal) });
  process.signal(signal);
  thawIfFrozen(process.cgroup);
  if (signal !== SIGNALS.SIGKILL) return;
  process.awaitEnd(-1);
  awaitRecord(found);
  // Its monitor may have been starting it again before it could know that it is not to.
  if (isUpNow(found) && found.store.isMarkedStopped(found.id)) {
    killContainer(paths, reference, signal, parseSignal);
  }
}

/** Whether whoever sends this signal wants the container to end: HUP, for instance, asks for something else. */
function meansStop(
  found: FoundContainer,
  signal: number,
  parseSignal: (text: string) => number,
): boolean {
  const { SIGKILL, SIGTERM, SIGINT, SIGQUIT } = SIGNALS;
  const ends: number[] = [SIGKILL, SIGTERM, SIGINT, SIGQUIT];
  if (ends.includes(signal)) return true;
  return signal === stopSignalOf(found.paths, found.store.readIfSound(found.id), parseSignal);
}

/** Stops every process of a container from running, until it is unpaused. */
export function pauseContainer(paths: Paths, reference: string): void {
  const found = findContainer(paths, reference);
  using process = RunningProcess.of(found);
  refuseRestarting(found);
  if (process === undefined) throw new MydockerError(`Container ${found.id} is not running`);
  const { cgroup } = process;
  if (cgroup.frozen()) throw new MydockerError(`Container ${found.id} is already paused`);
  whileRunning(process, found.id, () => cgroup.freeze());
  tell(found, "pause");
}

/** Lets them go on. */
export function unpauseContainer(paths: Paths, reference: string): void {
  const found = findContainer(paths, reference);
  using process = RunningProcess.of(found);
  if (process === undefined) throw new MydockerError(`Container ${found.id} is not running`);
  const { cgroup } = process;
  if (!cgroup.frozen()) throw new MydockerError(`Container ${found.id} is not paused`);
  thawIfFrozen(cgroup);
  tell(found, "unpause");
}

/** How often it is looked whether a container that was never started runs, in milliseconds. */
const INTERVAL = 50;

/**
 * Waits until a container does not run.
 * @returns its exit code
 * @throws {MydockerError} when there is none
 */
export function waitForContainer(paths: Paths, reference: string): number {
  const found = findContainer(paths, reference);
  for (;;) {
    const code = awaitMonitor(found) ?? awaitWithoutMonitor(found);
    if (code !== undefined) return code;
    if (!found.store.hasFiles(found.id)) {
      throw new NotFoundError(`No such container: ${reference}`);
    }
    Bun.sleepSync(INTERVAL);
    recover(paths);
  }
}

/** What the monitor says; undefined when there is none, or it is killed. */
function awaitMonitor({ paths, id }: FoundContainer): number | undefined {
  const socket = connectToMonitor(paths, id);
  if (socket === undefined) return undefined;
  try {
    say(socket, frame(TAG.wait));
    const message = hear(socket);
    return message?.[0] === TAG.ended ? readJson<EndMessage>(message).exitCode : undefined;
  } finally {
    close(socket);
  }
}

/** Of a container in the foreground of another command, or one that has ended; undefined when it has not run yet. */
function awaitWithoutMonitor(found: FoundContainer): number | undefined {
  using process = RunningProcess.of(found);
  if (process !== undefined) {
    process.awaitEnd(-1);
    awaitRecord(found);
  }
  return found.store.readExit(found.id)?.exitCode;
}
