/** `create`, `start`, `restart` and `rename`. */
import { MydockerError } from "../errors.ts";
import { close } from "../linux/fd.ts";
import { umask } from "../linux/process.ts";
import { renameOnNetworks } from "../network/names.ts";
import type { Paths } from "../paths.ts";
import { frame, hear, say, TAG } from "./attach_protocol.ts";
import { createContainer } from "./create.ts";
import { recordContainerEvent } from "./events.ts";
import { ownCapabilities } from "./host_facts.ts";
import { cleanUp, writeIdFile } from "./lifecycle.ts";
import {
  type FoundContainer,
  findContainer,
  isRestarting,
  isUpNow,
  RunningProcess,
  recordOf,
} from "./lifecycle_process.ts";
import { type StopOptions, stopContainer } from "./lifecycle_stop.ts";
import { startError, startMonitor } from "./monitor_request.ts";
import { connectToMonitor } from "./monitor_socket.ts";
import { awaitRemoval } from "./ownership.ts";
import { recover } from "./recovery.ts";
import { chooseRoot } from "./root_choice.ts";
import type { RunOptions } from "./run_options.ts";
import { chooseSeccomp } from "./seccomp_choice.ts";
import { withImage } from "./with_image.ts";

/** How long a monitor may take to listen, in milliseconds. */
const PATIENCE = 10_000;

/** Makes a container that is to be started later. @returns its id */
export async function createOnly(paths: Paths, options: RunOptions): Promise<string> {
  try {
    return await create(paths, options);
  } catch (error) {
    throw plain(error);
  }
}

/** Only what runs a command has exit codes of its own for failures. */
function plain(error: unknown): unknown {
  if (!(error instanceof MydockerError) || error.exitCode === 1) return error;
  const { message, cause, hint } = error;
  return new MydockerError(message, { cause, ...(hint === undefined ? {} : { hint }) });
}

async function create(paths: Paths, options: RunOptions): Promise<string> {
  const undo = new DisposableStack();
  try {
    umask(0o022);
    recover(paths);
    await chooseSeccomp(options, ownCapabilities()); // what is wrong with it is said now
    using idFile = new DisposableStack();
    const root = await withImage(options, () => chooseRoot(paths, options));
    const container = await createContainer(paths, options, root, undo, true);
    root.hold?.[Symbol.dispose](); // its record keeps the image from now on
    const { id } = container.record;
    if (options.cidfile !== undefined) writeIdFile(options.cidfile, id, idFile);
    container.sync?.();
    idFile.move();
    container.keep();
    return id;
  } finally {
    cleanUp(undo);
  }
}

/**
 * Starts a container in the background. One that runs is fine.
 * @throws {MydockerError} when there is none, or it does not start
 */
export function startInBackground(paths: Paths, reference: string): void {
  const found = findContainer(paths, reference);
  // Its monitor may be telling of the last end, and not listen.
  for (const deadline = Date.now() + PATIENCE; isRestarting(found); Bun.sleepSync(1)) {
    if (beginRestart(found)) return;
    if (Date.now() > deadline) break;
  }
  using process = RunningProcess.of(found);
  if (process !== undefined) {
    if (process.cgroup.frozen()) {
      throw new MydockerError("cannot start a paused container, try unpause instead");
    }
    return;
  }
  try {
    startMonitor({ kind: "start", id: found.id });
  } catch (error) {
    if (!isUpNow(found)) throw error; // somebody else was faster
  }
}

/** Tells the monitor of a container that has ended to start it now. @returns false when it was just doing so, or has ended */
function beginRestart({ paths, id }: FoundContainer): boolean {
  const socket = connectToMonitor(paths, id);
  if (socket === undefined) return false;
  try {
    say(socket, frame(TAG.begin));
    const message = hear(socket);
    if (message?.[0] === TAG.failed) throw startError(message);
    return message?.[0] === TAG.started;
  } finally {
    close(socket);
  }
}

/** Stops a container if it runs, and starts it. */
export function restartContainer(paths: Paths, reference: string, options: StopOptions): void {
  stopContainer(paths, reference, options);
  startInBackground(paths, reference);
  const found = findContainer(paths, reference);
  recordContainerEvent(paths, recordOf(found), "restart");
}

/**
 * Gives a container another name.
 * @throws {MydockerError} when that is malformed or taken
 */
export function renameContainer(paths: Paths, reference: string, name: string): void {
  const found = findContainer(paths, reference);
  const { store, id } = found;
  if (name === "") throw new MydockerError("Neither old nor new names may be empty");
  // Of everybody who would change or remove its record, one does.
  using _change = awaitRemoval(paths, id);
  const { otherName: _, ...record } = recordOf(found);
  const wanted = name.replace(/^\//, "");
  if (wanted === record.name) {
    throw new MydockerError("Renaming a container with the same name as its current name");
  }
  // Whoever removes it, should we be killed, gives both names back.
  store.writeRecord({ ...record, otherName: wanted });
  try {
    store.claimName(wanted, id);
  } catch (error) {
    store.writeRecord(record);
    throw plain(error);
  }
  store.writeRecord({ ...record, name: wanted, otherName: record.name });
  store.syncRecord(id);
  store.releaseName(record.name, id);
  store.writeRecord({ ...record, name: wanted });
  renameOnNetworks(paths, id, wanted);
  recordContainerEvent(paths, { ...record, name: wanted }, "rename", {
    oldName: `/${record.name}`,
  });
}
