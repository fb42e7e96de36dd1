/** `run`: from options to a container that has run in the foreground. */

import { ClientError, MydockerError } from "../errors.ts";
import { defaultSignal, SIGNALS, umask } from "../linux/process.ts";
import { isTerminal } from "../linux/tty.ts";
import { statePaths } from "../paths.ts";
import { explainOpenFiles } from "../runtime/rlimits.ts";
import { type CreatedContainer, createContainer, logAttributesOf } from "./create.ts";
import { recordContainerEvent } from "./events.ts";
import { type ForegroundEnd, superviseForeground } from "./foreground.ts";
import { ownCapabilities } from "./host_facts.ts";
import { announce, cleanUp, exitOf, recordExit, warnOfLimits, writeIdFile } from "./lifecycle.ts";
import type { ForegroundLog } from "./logs_foreground.ts";
import { needsResolver } from "./network_mode.ts";
import { recover } from "./recovery.ts";
import { chooseRoot } from "./root_choice.ts";
import type { RunOptions } from "./run_options.ts";
import { chooseSeccomp } from "./seccomp_choice.ts";
import { SignalQueue } from "./signals.ts";
import { type RunningContainer, startContainer } from "./start.ts";
import { RawTerminal } from "./terminal.ts";
import { withImage } from "./with_image.ts";

/**
 * Runs a container in the foreground. What was acquired for it is given back, whatever happens; the
 * container itself stays unless `--rm` was asked for or it could not be started.
 * @returns the exit code of its first process, or 128 and the number of the signal that ended it
 * @throws {MydockerError} with exit code 125, 126 or 127 when it could not be started
 */
export async function runContainer(
  options: RunOptions,
  { detachKeys }: { readonly detachKeys?: string } = {},
): Promise<number> {
  const undo = new DisposableStack();
  try {
    const attached = async () => {
      const { runAttached } = await import("./attach.ts");
      return await runAttached(statePaths(), options, detachKeys);
    };
    if (needsMonitor(options, detachKeys)) return await withImage(options, attached);
    return (await runUntilItEnds(options, undo)) ?? (await attached());
  } catch (cause) {
    const message = explainOpenFiles(cause);
    throw message === undefined ? cause : new MydockerError(message, { exitCode: 125, cause });
  } finally {
    cleanUp(undo);
  }
}

/** What outlives its caller has a monitor, and what is to be started again, or asks for names. */
function needsMonitor(options: RunOptions, detachKeys: string | undefined): boolean {
  const { attach, interactive, restart } = options;
  if (restart !== undefined && restart.name !== "no") return true;
  if (needsResolver(options)) return true;
  if (interactive && detachKeys) return true;
  return attach?.length === 1 && attach[0] === "stdin";
}

/** @returns undefined, and nothing is done, for a container that needs a monitor: something has to probe its health */
async function runUntilItEnds(
  options: RunOptions,
  undo: DisposableStack,
): Promise<number | undefined> {
  if (options.tty && options.interactive && !isTerminal(0)) {
    throw new ClientError("the input device is not a TTY");
  }
  umask(0o022); // what is made for the container is not the caller's to restrict
  defaultSignal(SIGNALS.SIGCHLD); // ignored, children would be gone before they are waited for
  using signals = new SignalQueue();
  const paths = statePaths();
  recover(paths);
  const seccomp = await chooseSeccomp(options, ownCapabilities());
  const root = await withImage(options, () => chooseRoot(paths, options));
  if (options.healthcheck !== undefined || root.config.Healthcheck) {
    const { isChecked, mergeHealthcheck } = await import("./health.ts");
    if (isChecked(mergeHealthcheck(options.healthcheck, root.config.Healthcheck ?? undefined))) {
      root.hold?.[Symbol.dispose]();
      return undefined;
    }
  }
  const container = await createContainer(paths, options, root, undo);
  root.hold?.[Symbol.dispose](); // its record keeps the image from now on
  using idFile = new DisposableStack();
  if (options.cidfile !== undefined) writeIdFile(options.cidfile, container.record.id, idFile);
  const running = await startContainer(container, undo, signals, seccomp);
  idFile.move(); // it stays, now that there is a container to go with it
  const startedAt = new Date().toISOString();
  recordContainerEvent(paths, container.record, "attach");
  announce(container, running, startedAt);
  const log = options.remove ? undefined : await openLogOf(container);
  const status = await supervise(running, options, signals, log);
  if (status.signal === SIGNALS.SIGSEGV) warnOfLimits(options);
  // First: on a full disk its end cannot be written down, but it is not lost.
  if (!options.remove) container.keep();
  recordExit(container, exitOf(running, status, startedAt));
  // As with a pipeline whose last command fails: the container's own end is on record, this is ours.
  return status.code === 0 && status.outputLost ? 125 : status.code;
}

/** With --rm nobody could read it. */
async function openLogOf(container: CreatedContainer): Promise<ForegroundLog> {
  const { ForegroundLog } = await import("./logs_foreground.ts");
  const { store, record } = container;
  return new ForegroundLog(
    store.logPath(record.id),
    record.options.log,
    await logAttributesOf(container),
  );
}

async function supervise(
  running: RunningContainer,
  options: RunOptions,
  signals: SignalQueue,
  log: ForegroundLog | undefined,
): Promise<ForegroundEnd> {
  using _raw = options.tty && options.interactive ? new RawTerminal(0) : undefined;
  return await superviseForeground({
    started: running,
    ...(running.pipes === undefined ? {} : { pipes: running.pipes }),
    interactive: options.interactive,
    ...(options.attach === undefined ? {} : { attach: options.attach }),
    ...(log === undefined ? {} : { log }),
    ...(running.door === undefined ? {} : { door: running.door }),
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
