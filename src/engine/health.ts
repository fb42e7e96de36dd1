/** Health checks: what a container's is, and what its probes amount to (moby: daemon/health.go). Pure. */
import type { Healthcheck } from "../images/image_config.ts";

/** One probe. */
export interface ProbeResult {
  /** RFC 3339 */
  readonly Start: string;
  readonly End: string;
  /** 0: healthy; -1: it could not be executed, or took too long */
  readonly ExitCode: number;
  readonly Output: string;
}

/** What is known of a container's health, in Docker's shape. */
export interface Health {
  readonly Status: "starting" | "healthy" | "unhealthy";
  readonly FailingStreak: number;
  /** the last five */
  readonly Log: readonly ProbeResult[];
}

/** Of a container that has just been started. */
export const STARTING: Health = { Status: "starting", FailingStreak: 0, Log: [] };

/** In Docker's order. */
const FIELDS = ["Test", "Interval", "Timeout", "StartPeriod", "StartInterval", "Retries"] as const;

const LOGGED = 5;
const USUAL_RETRIES = 3;
const MILLISECOND = 1e6;
const SECOND = 1e9;
const USUAL = { Interval: 30 * SECOND, Timeout: 30 * SECOND, StartInterval: 5 * SECOND } as const;

/** What a container is given completes what it does not say from its image. */
export function mergeHealthcheck(
  asked: Healthcheck | undefined,
  image: Healthcheck | undefined,
): Healthcheck | undefined {
  if (asked === undefined || image === undefined) return asked ?? image;
  const merged = FIELDS.map((field) => [field, asked[field] || image[field]] as const);
  return Object.fromEntries(merged.filter(([, value]) => value !== undefined));
}

/** What a probe executes; undefined for a container that has no health check. */
export function probeCommand(
  check: Healthcheck | undefined,
  shell: readonly string[],
): readonly string[] | undefined {
  const [kind, ...words] = check?.Test ?? [];
  if (words.length === 0) return undefined;
  if (kind === "CMD") return words;
  return kind === "CMD-SHELL" ? [...shell, ...words] : undefined;
}

/** Whether a container with this check has health at all. */
export const isChecked = (check: Healthcheck | undefined): boolean =>
  probeCommand(check, []) !== undefined;

/** How long a probe may take, in milliseconds. */
export const probeTimeout = ({ Timeout }: Healthcheck): number =>
  (Timeout || USUAL.Timeout) / MILLISECOND;

/**
 * How long to wait before the next probe, in milliseconds.
 * @param runsFor milliseconds since the container was started
 */
export function probeInterval(check: Healthcheck, { Status }: Health, runsFor: number): number {
  const { Interval, StartInterval, StartPeriod = 0 } = check;
  const isStarting = Status === "starting" && runsFor * MILLISECOND < StartPeriod;
  const interval = isStarting ? StartInterval || USUAL.StartInterval : Interval || USUAL.Interval;
  return interval / MILLISECOND;
}

/**
 * The health after a further probe.
 * @param ranFor milliseconds that the container had run when the probe began
 */
export function afterProbe(
  before: Health,
  result: ProbeResult,
  { Retries, StartPeriod = 0 }: Healthcheck,
  ranFor: number,
): Health {
  const Log = [...before.Log, result].slice(-LOGGED);
  if (result.ExitCode === 0) return { Status: "healthy", FailingStreak: 0, Log };
  // As long as it starts, a failure says nothing.
  const isExcused = before.Status === "starting" && ranFor * MILLISECOND < StartPeriod;
  const FailingStreak = before.FailingStreak + (isExcused ? 0 : 1);
  const isOver = !isExcused && FailingStreak >= (Retries || USUAL_RETRIES);
  return { Status: isOver ? "unhealthy" : before.Status, FailingStreak, Log };
}

/** What is said of a probe that took too long. @param timeout milliseconds */
export const exceeded = (timeout: number): string =>
  `Health check exceeded timeout (${goDuration(timeout * MILLISECOND)})`;

/** A duration as Go prints it: `1m30s`, `1.5s`, `250ms`. @param nanoseconds not negative */
export function goDuration(nanoseconds: number): string {
  if (nanoseconds === 0) return "0s";
  if (nanoseconds < 1e3) return `${nanoseconds}ns`;
  if (nanoseconds < MILLISECOND) return `${nanoseconds / 1e3}µs`;
  if (nanoseconds < SECOND) return `${nanoseconds / MILLISECOND}ms`;
  const minutes = Math.floor(nanoseconds / (60 * SECOND));
  const seconds = `${(nanoseconds - minutes * 60 * SECOND) / SECOND}s`;
  if (minutes === 0) return seconds;
  const hours = Math.floor(minutes / 60);
  return hours === 0 ? `${minutes}m${seconds}` : `${hours}h${minutes % 60}m${seconds}`;
}
