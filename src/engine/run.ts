/** `run`: from options to a container that has run in the foreground. */

import { MydockerError } from "../errors.ts";
import { encodeBytes } from "../ffi/bytes.ts";
import { close, O, open, writeAll } from "../linux/fd.ts";
import { unlinkIfExists } from "../linux/file.ts";
import { defaultSignal, type ExitStatus, SIGNALS, umask } from "../linux/process.ts";
import { identify } from "../linux/process_identity.ts";
import { isTerminal } from "../linux/tty.ts";
import { log } from "../log.ts";
import { statePaths } from "../paths.ts";
import { explainOpenFiles } from "../runtime/rlimits.ts";
import { type CreatedContainer, createContainer } from "./create.ts";
import { type ForegroundEnd, superviseForeground } from "./foreground.ts";
import { ownCapabilities } from "./host_facts.ts";
import { recover } from "./recovery.ts";
import { chooseRoot } from "./root_choice.ts";
import type { RunOptions } from "./run_options.ts";
import { chooseSeccomp } from "./seccomp_choice.ts";
import { SignalQueue } from "./signals.ts";
import { type RunningContainer, startContainer } from "./start.ts";
import { RawTerminal } from "./terminal.ts";

/**
 * Runs a container in the foreground. What was acquired for it is given back, whatever happens; the
 * container itself stays unless `--rm` was asked for or it could not be started.
 * @returns the exit code of its first process, or 128 and the number of the signal that ended it
 * @throws {MydockerError} with exit code 125, 126 or 127 when it could not be started
 */
export async function runContainer(options: RunOptions): Promise<number> {
  const undo = new DisposableStack();
  try {
    return await runUntilItEnds(options, undo);
  } catch (cause) {
    const message = explainOpenFiles(cause);
    throw message === undefined ? cause : new MydockerError(message, { exitCode: 125, cause });
  } finally {
    cleanUp(undo);
  }
}

/** What cannot be given back is not to hide how the command ended, or why it did not start. */
function cleanUp(undo: DisposableStack): void {
  try {
    undo.dispose();
  } catch (error) {
    for (const each of suppressed(error)) {
      log.warn(`the container could not be cleaned up: ${describe(each)}`);
    }
  }
}

/** All errors of a stack that was unwound, the first one first. */
function suppressed(error: unknown): unknown[] {
  return error instanceof SuppressedError
    ? [...suppressed(error.suppressed), ...suppressed(error.error)]
    : [error];
}

const describe = (error: unknown): string =>
  error instanceof Error ? error.message : String(error);

async function runUntilItEnds(options: RunOptions, undo: DisposableStack): Promise<number> {
  if (options.tty && options.interactive && !isTerminal(0)) {
    throw new MydockerError("the input device is not a TTY", { exitCode: 125 });
  }
  umask(0o022); // what is made for the container is not the caller's to restrict
  defaultSignal(SIGNALS.SIGCHLD); // ignored, children would be gone before they are waited for
  using signals = new SignalQueue();
  const paths = statePaths();
  recover(paths);
  const seccomp = await chooseSeccomp(options, ownCapabilities());
  const root = await chooseRoot(paths, options);
  const container = createContainer(paths, options, root, undo);
  root.hold?.[Symbol.dispose](); // its record keeps the image from now on
  using idFile = new DisposableStack();
  if (options.cidfile !== undefined) writeIdFile(options.cidfile, container.record.id, idFile);
  const running = await startContainer(container, undo, signals, seccomp);
  idFile.move(); // it stays, now that there is a container to go with it
  const startedAt = new Date().toISOString();
  announce(container, running, startedAt);
  const status = await supervise(running, options, signals);
  if (status.signal === SIGNALS.SIGSEGV) warnOfLimits(options);
  if (!options.remove) {
    container.keep(); // first: on a full disk its end cannot be written down, but it is not lost
    recordExit(container, running, status, startedAt);
  }
  // As with a pipeline whose last command fails: the container's own end is on record, this is ours.
  return status.code === 0 && status.outputLost ? 125 : status.code;
}

/** `--cidfile`: a new file with the container's id; `undo` removes it. */
function writeIdFile(path: string, id: string, undo: DisposableStack): void {
  let fd: number;
  try {
    fd = open(path, O.O_WRONLY | O.O_CREAT | O.O_EXCL, 0o644);
  } catch (cause) {
    throw new MydockerError(`cannot write the container's id: ${describe(cause)}`, {
      exitCode: 125,
      cause,
    });
  }
  undo.defer(() => unlinkIfExists(path));
  try {
    writeAll(fd, encodeBytes(id), path);
  } finally {
    close(fd);
  }
}

/** Says who runs, for `ps` and for whoever has to clean up after us. */
function announce({ ownership }: CreatedContainer, { pid }: RunningContainer, startedAt: string) {
  const identity = identify(pid);
  if (identity === undefined) return; // it has not been waited for, so it is there
  ownership.update({ ...ownership.record, process: { ...identity, startedAt } });
}

async function supervise(
  running: RunningContainer,
  options: RunOptions,
  signals: SignalQueue,
): Promise<ForegroundEnd> {
  using _raw = options.tty && options.interactive ? new RawTerminal(0) : undefined;
  return await superviseForeground({
    started: running,
    ...(running.pipes === undefined ? {} : { pipes: running.pipes }),
    interactive: options.interactive,
    signals,
    proxySignals: options.sigProxy,
    // With --init the first process takes every signal, and passes it on.
    ownPidNamespace: options.pid !== "host" && !options.init,
    // With a pid namespace of its own, all of it ends with the first process (pid_namespaces(7)).
    killRest: () => {
      if (options.pid === "host") running.cgroup.kill();
    },
  });
}

function recordExit(
  { store, record }: CreatedContainer,
  { cgroup }: RunningContainer,
  status: ExitStatus,
  startedAt: string,
): void {
  try {
    store.writeExit(record.id, {
      exitCode: status.code,
      oomKilled: cgroup.oomKilled(),
      startedAt,
      finishedAt: new Date().toISOString(),
    });
  } catch (error) {
    // The command has ended as it has: its exit code counts, not ours.
    log.warn(`the end of container ${record.name} could not be recorded: ${describe(error)}`);
  }
}

/** The kernel says in no other way that a program does not fit into its limits (execve(2)). */
function warnOfLimits({ ulimits }: RunOptions): void {
  const memory = ["RLIMIT_AS", "RLIMIT_DATA", "RLIMIT_STACK"];
  for (const { name, soft } of ulimits) {
    if (!memory.includes(name)) continue;
    const limit = `${name.slice("RLIMIT_".length).toLowerCase()}=${soft}`;
    log.warn(`the command was ended by SIGSEGV: its limit ${limit} may be too low to start with`);
  }
}
