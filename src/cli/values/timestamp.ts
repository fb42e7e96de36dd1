/** Times and durations, as Docker reads them (moby: api/types/time, GetTimestamp). */
import { UsageError } from "../../errors.ts";

const UNITS: Readonly<Record<string, number>> = {
  h: 3_600_000,
  m: 60_000,
  s: 1000,
  ms: 1,
  us: 1e-3,
  µs: 1e-3,
  ns: 1e-6,
};

/** `1h30m`, `10s`, `1.5h`: Go's time.ParseDuration. @returns milliseconds; undefined when it is none */
export function parseDuration(text: string): number | undefined {
  const sign = text.startsWith("-") ? -1 : 1;
  const body = text.replace(/^[+-]/, "");
  if (!/^(?:(?:\d+\.?\d*|\.\d+)(?:ns|us|µs|ms|s|m|h))+$/.test(body)) return undefined;
  let sum = 0;
  for (const [, number, unit] of body.matchAll(/(\d+\.?\d*|\.\d+)(ns|us|µs|ms|s|m|h)/g)) {
    sum += Number(number) * (UNITS[unit as string] as number);
  }
  return sign * sum;
}

/**
 * A moment: RFC 3339, also without its end (`2024-05-01`, `2024-05-01T12:00`), which then is local
 * time; seconds since 1970; or how long ago, `10m`.
 * @returns milliseconds since 1970
 */
export function parseTimestamp(text: string): number {
  const ago = parseDuration(text);
  if (ago !== undefined) return Date.now() - ago;
  if (/^\d+(\.\d+)?$/.test(text)) return Number(text) * 1000;
  const isTime = /^\d{4}-\d\d-\d\d(T\d\d(:\d\d(:\d\d(\.\d+)?)?)?(Z|[+-]\d\d:\d\d)?)?$/.test(text);
  const time = isTime ? Date.parse(completed(text)) : Number.NaN;
  if (Number.isNaN(time)) {
    throw new UsageError(`failed to parse value as time or duration: "${text}"`);
  }
  return time;
}

/** With hours, minutes and seconds: without a zone that is local time. */
function completed(text: string): string {
  const [, date = "", time = "00:00:00", zone = ""] =
    /^(.{10})(?:T([\d:.]+))?(Z|[+-]\d\d:\d\d)?$/.exec(text) ?? [];
  const [hours = "00", minutes = "00", seconds = "00"] = time.split(":");
  return `${date}T${hours}:${minutes}:${seconds}${zone}`;
}

/** `--tail`: a count of lines; what is no count means all, as with Docker. */
export function parseTail(text: string): number | "all" {
  return /^\d+$/.test(text) ? Number(text) : "all";
}
