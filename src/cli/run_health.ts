/** `--health-…` and `--no-healthcheck`, in Docker's words (docker/cli: container/opts.go; moby: daemon/container.go). */
import { MydockerError, UsageError } from "../errors.ts";
import type { Healthcheck } from "../images/image_config.ts";
import { quote } from "../quote.ts";
import type { OptionTable, Values } from "./option_table.ts";
import { parseInteger } from "./values/number.ts";
import { parseDuration } from "./values/timestamp.ts";

/** Docker's options. */
export const HEALTH_OPTIONS = {
  "health-cmd": {
    type: "value",
    value: "command",
    description: "Shell command whose success means that the container is healthy",
  },
  "health-interval": {
    type: "value",
    value: "duration",
    description: "Time between two health checks, 30s is usual",
    parse: toNanoseconds,
  },
  "health-retries": {
    type: "value",
    value: "number",
    description: "Failures in a row that make it unhealthy, 3 is usual",
    parse: parseInteger,
  },
  "health-start-interval": {
    type: "value",
    value: "duration",
    description: "Time between two health checks in the start period, 5s is usual",
    parse: toNanoseconds,
  },
  "health-start-period": {
    type: "value",
    value: "duration",
    description: "How long failures do not count after the start",
    parse: toNanoseconds,
  },
  "health-timeout": {
    type: "value",
    value: "duration",
    description: "How long a health check may take, 30s is usual",
    parse: toNanoseconds,
  },
  "no-healthcheck": {
    type: "boolean",
    description: "Do without the image's health check",
  },
} as const satisfies OptionTable;

/** A duration of Go's. @throws {UsageError} in Go's words */
function toNanoseconds(text: string): number {
  const milliseconds = /^[+-]?0$/.test(text) ? 0 : parseDuration(text);
  if (milliseconds === undefined) throw new UsageError(`time: invalid duration ${quote(text)}`);
  return Math.round(milliseconds * 1e6);
}

/** The least that a time may be, nanoseconds. */
const LEAST = 1e6;

/** @returns undefined when nothing is said. @throws {MydockerError} for what contradicts itself */
export function composeHealthcheck(
  values: Pick<Values<typeof HEALTH_OPTIONS>, keyof typeof HEALTH_OPTIONS>,
): Healthcheck | undefined {
  const times = {
    Interval: values["health-interval"],
    Timeout: values["health-timeout"],
    StartPeriod: values["health-start-period"],
    StartInterval: values["health-start-interval"],
  };
  const command = values["health-cmd"] || undefined;
  const retries = values["health-retries"];
  const said = [command, retries, ...Object.values(times)].filter(Boolean);
  if (values["no-healthcheck"]) {
    if (said.length > 0) throw new UsageError("--no-healthcheck conflicts with --health-* options");
    return { Test: ["NONE"] };
  }
  if (said.length === 0) return undefined;
  for (const [field, time = 0] of Object.entries(times)) {
    const option = field.replace(/(?<=.)[A-Z]/, (letter) => `-${letter}`).toLowerCase();
    if (time < 0) throw new UsageError(`--health-${option} cannot be negative`);
    if (time !== 0 && time < LEAST) {
      throw new MydockerError(`${field} in Healthcheck cannot be less than 1ms`);
    }
  }
  if (retries !== undefined && retries < 0) {
    throw new UsageError("--health-retries cannot be negative");
  }
  const given = Object.entries({ ...times, Retries: retries }).filter(([, value]) => value);
  return {
    ...(command === undefined ? {} : { Test: ["CMD-SHELL", command] }),
    ...Object.fromEntries(given),
  };
}
