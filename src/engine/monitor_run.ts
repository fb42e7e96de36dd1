/** The runs of a container in the background: from one start to the last end, with those that its restart policy adds. */
import { MydockerError } from "../errors.ts";
import { explainOpenFiles } from "../runtime/rlimits.ts";
import { frameJson, type StartFailure, TAG } from "./attach_protocol.ts";
import type { ContainerRecord, ExitRecord } from "./container_record.ts";
import { type CreatedContainer, logAttributesOf } from "./create.ts";
import type { HealthMonitor } from "./health_monitor.ts";
import { ownCapabilities } from "./host_facts.ts";
import { announce, cleanUp, exitOf, recordExit } from "./lifecycle.ts";
import { DEFAULT_LOG, openLog } from "./logs_writer.ts";
import { backOff } from "./monitor_backoff.ts";
import { type MonitorClient, takeLeave } from "./monitor_client.ts";
import { MonitorSession } from "./monitor_session.ts";
import { backOffDelay, NO_RESTART, restartsAfter } from "./restart_policy.ts";
import { chooseSeccomp } from "./seccomp_choice.ts";
import { type RunningContainer, startContainer } from "./start.ts";
import { MissingImageError } from "./with_image.ts";

type NetworkPublish = typeof import("./network_publish.ts");
type NetworkResolver = typeof import("./network_resolver.ts");

/** No signal ends a start in the background. */
const UNINTERRUPTED = { endsStart: () => undefined };

/** A container that runs, and whoever is attached. */
export interface MonitoredRun {
  readonly container: CreatedContainer;
  readonly running: RunningContainer;
  readonly session: MonitorSession;
  readonly listener: number;
  /** RFC 3339 */
  readonly startedAt: string;
  /** milliseconds of a clock that nobody sets */
  readonly beganAt: number;
  /** What belongs to this run alone. */
  readonly undo: DisposableStack;
}

/** Starts a container that we own. @throws as startContainer; then nothing of the run is left */
export async function startRun(
  container: CreatedContainer,
  listener: number,
  clients: readonly MonitorClient[],
): Promise<MonitoredRun> {
  const undo = new DisposableStack();
  try {
    const { id, options } = container.record;
    const seccomp = await chooseSeccomp(options, ownCapabilities());
    const path = container.store.logPath(id);
    const log = openLog(path, options.log ?? DEFAULT_LOG, await logAttributesOf(container));
    const running = await startContainer(container, undo, UNINTERRUPTED, seccomp);
    const startedAt = new Date().toISOString();
    if (!options.remove) container.keep();
    const health = await healthOf(container);
    announce(container, running, startedAt);
    health?.begin(() => running.cgroup.frozen());
    const session = new MonitorSession({
      running,
      listener,
      clients,
      log,
      ...(health === undefined ? {} : { health }),
      publish: (message) => {
        // biome-ignore lint/style/noCommonJs: as below
        const { publishOf } = require("./network_publish.ts") as NetworkPublish;
        try {
          if (running.door !== undefined) publishOf(running.door, message);
          return undefined;
        } catch (error) {
          return frameJson(TAG.failed, failureOf(error));
        }
      },
      openResolver: () => {
        // biome-ignore lint/style/noCommonJs: loaded for the few that need it, by one that does not wait
        const { openResolver } = require("./network_resolver.ts") as NetworkResolver;
        return openResolver(container, running.pid);
      },
      interactive: options.interactive,
      stdinOnce: options.stdinOnce === true,
      // With a pid namespace of its own, all of it ends with the first process (pid_namespaces(7)).
      killRest: () => {
        if (options.pid === "host") running.cgroup.kill();
      },
    });
    const beganAt = performance.now();
    return { container, running, session, listener, startedAt, beganAt, undo };
  } catch (error) {
    cleanUp(undo);
    throw error;
  }
}

/** Loaded for those that have a health check. */
async function healthOf(container: CreatedContainer): Promise<HealthMonitor | undefined> {
  if (container.record.options.healthcheck === undefined) return undefined;
  const { HealthMonitor } = await import("./health_monitor.ts");
  return HealthMonitor.of(container);
}

/**
 * Attends to a container that runs until it has ended and is not to be started again.
 * @param undo what is given back then; what a run throws ends us without that: the next command does it
 */
export async function attendRuns(first: MonitoredRun, undo: DisposableStack): Promise<void> {
  let run = first;
  for (let delay = 0; ; ) {
    await applyUpdate(run);
    giveBackMemory();
    const exit = attendToEnd(run);
    const ended = frameJson(TAG.ended, { exitCode: exit.exitCode });
    const { container, listener } = run;
    if (container.ownership.record.restarting === undefined) {
      cleanUp(undo);
      run.session.sayEnd(ended);
      return;
    }
    run.session.sayEnd(ended);
    delay = backOffDelay(delay, performance.now() - run.beganAt);
    const { goesOn, starter, clients } = backOff(listener, delay);
    const record = latestRecord(container);
    if (starter !== undefined) {
      delay = 0;
      container.store.unmarkStopped(record.id);
      container.ownership.update({ ...container.ownership.record, restartCount: 0 });
    } else if (!(goesOn && stillRestarts(container, record))) {
      cleanUp(undo);
      takeLeave(listener, clients, ended);
      return;
    }
    try {
      const { sync: _, ...rest } = container;
      run = await startRun({ ...rest, record, ranBefore: true }, listener, clients);
    } catch (error) {
      const { exitCode, message: why } = failureOf(error);
      const finishedAt = new Date().toISOString();
      recordExit(container, { ...exit, exitCode, oomKilled: false, finishedAt, error: why });
      cleanUp(undo);
      starter?.send(frameJson(TAG.failed, failureOf(error)));
      takeLeave(listener, clients, frameJson(TAG.ended, { exitCode }));
      return;
    }
    starter?.send(frameJson(TAG.started, { id: record.id }));
    starter?.close();
  }
}

/** Attends to one run, and records its end. Whether it is to be started again the owner's record says then. */
function attendToEnd({ container, running, session, startedAt, undo }: MonitoredRun): ExitRecord {
  const status = session.run();
  const { ownership, store } = container;
  const { options } = latestRecord(container);
  const { process: _, restartCount = 0, ...said } = ownership.record;
  const plain = exitOf(running, status, startedAt);
  const { restart = NO_RESTART } = options;
  const isAgain =
    restart.name !== "no" &&
    restartsAfter(restart, {
      exitCode: plain.exitCode,
      restartCount,
      isStopped: store.isMarkedStopped(said.id),
    });
  const count = restartCount + (isAgain ? 1 : 0);
  const exit = count === 0 ? plain : { ...plain, restartCount: count };
  // Said before the end is on record: at no time it looks as if this were the last one.
  if (isAgain) ownership.update({ ...said, restarting: exit, restartCount: count });
  recordExit(container, exit);
  session.close();
  cleanUp(undo);
  return exit;
}

/** Limits that somebody changed while it started: `update` finds no process then, but is on record. */
async function applyUpdate({ container, running }: MonitoredRun): Promise<void> {
  const { resources } = latestRecord(container).options;
  if (Bun.deepEquals(resources, container.record.options.resources)) return;
  const { applyLimits } = await import("./lifecycle_update.ts");
  try {
    applyLimits(running.cgroup, resources);
  } catch (error) {
    if (!(error instanceof MydockerError)) throw error; // nobody is there any more who could be told
  }
}

/** Somebody may have stopped it, or changed its policy, while we waited. */
function stillRestarts({ store }: CreatedContainer, { id, options }: ContainerRecord): boolean {
  return (options.restart ?? NO_RESTART).name !== "no" && !store.isMarkedStopped(id);
}

/** `update` and `rename` may have changed it while it ran. */
function latestRecord({ store, record }: CreatedContainer): ContainerRecord {
  try {
    return store.read(record.id) ?? record;
  } catch {
    return record; // somebody has damaged it
  }
}

/** Starting takes more than watching; a monitor may live for years, among hundreds. */
export function giveBackMemory(): void {
  Bun.gc(true);
  Bun.shrink();
}

/**
 * Why something did not start, for whoever wanted it.
 * @param usual the exit code of a failure that has none of its own
 */
export function failureOf(error: unknown, usual = 125): StartFailure {
  const own = error instanceof MydockerError ? error : undefined;
  const said = error instanceof Error ? error.message : String(error);
  return {
    message: explainOpenFiles(error) ?? said,
    exitCode: own === undefined || own.exitCode === 1 ? usual : own.exitCode,
    ...(own?.hint === undefined ? {} : { hint: own.hint }),
    ...(error instanceof MissingImageError ? { missingImage: error.image } : {}),
  };
}
