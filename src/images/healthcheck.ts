/** The instruction HEALTHCHECK of Dockerfiles. */
import { MydockerError } from "../errors.ts";
import type { Healthcheck } from "./image_config.ts";

const OPTIONS = {
  interval: "Interval",
  timeout: "Timeout",
  "start-period": "StartPeriod",
  "start-interval": "StartInterval",
} as const;

/** Nanoseconds of Go's units (time.ParseDuration). */
const UNITS: Readonly<Record<string, number>> = {
  ns: 1,
  us: 1e3,
  µs: 1e3,
  ms: 1e6,
  s: 1e9,
  m: 60e9,
  h: 3600e9,
};

/**
 * Reads `NONE` or `[--interval=30s …] CMD command`.
 * @param asList reads the JSON form of a command
 * @throws {MydockerError}
 */
export function parseHealthcheck(
  args: string,
  asList: (command: string) => readonly string[] | undefined,
): Healthcheck {
  const check: { -readonly [K in keyof Healthcheck]: Healthcheck[K] } = {};
  let rest = args;
  for (;;) {
    const option = /^--([a-z-]+)=(\S*)\s*/.exec(rest);
    if (option === null) break;
    const [whole, name = "", value = ""] = option;
    rest = rest.slice(whole.length);
    if (name === "retries") {
      if (!/^\d+$/.test(value) || Number(value) < 1)
        throw new MydockerError(`--retries must be at least 1 (not ${value})`);
      check.Retries = Number(value);
    } else if (Object.hasOwn(OPTIONS, name)) {
      check[OPTIONS[name as keyof typeof OPTIONS]] = parseDuration(name, value);
    } else throw new MydockerError(`Unknown flag: ${name}`);
  }
  const [, kind = "", command = ""] = /^(\S*)\s*([\s\S]*)$/.exec(rest) ?? [];
  if (kind.toUpperCase() === "NONE") {
    if (command !== "") throw new MydockerError("HEALTHCHECK NONE takes no arguments");
    return { Test: ["NONE"] };
  }
  if (kind.toUpperCase() !== "CMD")
    throw new MydockerError(
      `Unknown type ${JSON.stringify(kind.toUpperCase())} in HEALTHCHECK (try CMD)`,
    );
  if (command === "") throw new MydockerError("Missing command after HEALTHCHECK CMD");
  const list = asList(command);
  return { ...check, Test: list === undefined ? ["CMD-SHELL", command] : ["CMD", ...list] };
}

/** Go's durations, `1m30s`; at least a millisecond, as Docker wants. */
function parseDuration(name: string, text: string): number {
  if (!/^(?:\d+(?:\.\d+)?(?:ns|us|µs|ms|s|m|h))+$/.test(text))
    throw new MydockerError(`invalid duration for --${name}: ${JSON.stringify(text)}`);
  let total = 0;
  for (const [, number, unit = ""] of text.matchAll(/(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)/g))
    total += Number(number) * (UNITS[unit] as number);
  if (total < 1e6)
    throw new MydockerError(`Interval ${JSON.stringify(name)} cannot be less than 1ms`);
  return Math.round(total);
}
