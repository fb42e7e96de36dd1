/** Restart policies (moby: restartmanager): whether a container that has ended is started again, and when. */

/** `--restart`. */
export interface RestartPolicy {
  readonly name: "no" | "on-failure" | "always" | "unless-stopped";
  /** so many times at most, of `on-failure`; 0: as often as it takes */
  readonly maximumRetryCount: number;
}

/** What there is without `--restart`. */
export const NO_RESTART: RestartPolicy = { name: "no", maximumRetryCount: 0 };

/** How a container ended, as far as its policy minds. */
export interface EndedRun {
  readonly exitCode: number;
  /** how often it was started again since somebody started it */
  readonly restartCount: number;
  /** somebody asked for its end */
  readonly isStopped: boolean;
}

/** Whether a container that has just ended is to be started again. Whoever stopped it wants it stopped. */
export function restartsAfter(policy: RestartPolicy, ended: EndedRun): boolean {
  if (ended.isStopped) return false;
  if (policy.name === "on-failure") return failedWithin(policy, ended);
  return policy.name !== "no";
}

/**
 * Whether a container that has run before, and does not, is to be started after a boot. As with Docker's daemon,
 * `always` means one that was stopped by hand, too; that is what `unless-stopped` is for. One that
 * has failed by itself was started again then, until it had no retries left: what `on-failure` finds
 * here is what the machine took down.
 */
export function startsAtBoot(policy: RestartPolicy, ended: EndedRun): boolean {
  return policy.name === "always" || restartsAfter(policy, ended);
}

const failedWithin = (
  { maximumRetryCount }: RestartPolicy,
  { exitCode, restartCount }: EndedRun,
): boolean => exitCode !== 0 && (maximumRetryCount === 0 || restartCount < maximumRetryCount);

/** How long it waits the first time, milliseconds. */
const SHORTEST = 100;
const LONGEST = 60_000;
/** One that has run for so long is not the one that failed, milliseconds. */
const RESET_AFTER = 10_000;

/**
 * How long to wait before it is started again, in milliseconds.
 * @param previous the last time; 0 when there was none
 * @param ranFor milliseconds
 */
export function backOffDelay(previous: number, ranFor: number): number {
  if (previous === 0 || ranFor >= RESET_AFTER) return SHORTEST;
  return Math.min(2 * previous, LONGEST);
}
