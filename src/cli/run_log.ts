/** `--log-driver` and `--log-opt`, in Docker's words (moby: daemon/logger/jsonfilelog). */
import { DEFAULT_LOG } from "../engine/logs_writer.ts";
import type { LogRequest } from "../engine/run_options.ts";
import { UsageError } from "../errors.ts";
import type { OptionTable } from "./option_table.ts";
import { splitPair } from "./values/key_values.ts";

/** Docker's options. */
export const LOG_OPTIONS = {
  "log-driver": {
    type: "value",
    value: "driver",
    description: "Where its output is logged: json-file or none",
    complete: ["json-file", "none"],
  },
  "log-opt": {
    type: "list",
    value: "name=value",
    description: "Option of the log: max-size (20m) and max-file (5)",
    complete: ["max-size=", "max-file="],
  },
} as const satisfies OptionTable;

/** How a log that is never full is written down. */
const UNLIMITED = Number.MAX_SAFE_INTEGER;
const POWERS = { k: 1, m: 2, g: 3, t: 4, p: 5 } as const;

/** @returns undefined for what is usual. @throws {UsageError} */
export function composeLog(
  driver: string | undefined,
  options: readonly string[],
): LogRequest | undefined {
  if (driver === undefined && options.length === 0) return undefined;
  if (driver === "none") {
    if (options.length > 0) throw new UsageError("invalid logging opts for driver none");
    return { ...DEFAULT_LOG, driver };
  }
  if (driver !== undefined && driver !== "" && driver !== "json-file")
    throw new UsageError(`logger: no log driver named '${driver}' is registered`);
  const given = new Map(options.map((option) => [splitPair(option).name, splitPair(option).value]));
  for (const [name, value] of given) {
    if (value === undefined) throw new UsageError(`invalid logging option: ${name}`);
    if (name === "mode" && value === "blocking") continue;
    if (name !== "max-size" && name !== "max-file")
      throw new UsageError(`unknown log opt '${name}' for json-file log driver`);
  }
  const [size, files] = [given.get("max-size"), given.get("max-file")];
  if (size === undefined && files === undefined) return undefined;
  return {
    driver: "json-file",
    maxSize: size === undefined ? DEFAULT_LOG.maxSize : parseLogSize(size),
    maxFile: files === undefined ? 1 : parseCount(files),
  };
}

/** `10m`: powers of 1000, other than for memory; -1 for no limit. */
function parseLogSize(text: string): number {
  if (text === "-1") return UNLIMITED;
  const match = /^(\d+(?:\.\d+)?) ?([kmgtp])?i?b?$/i.exec(text);
  const unit = match?.[2]?.toLowerCase() as keyof typeof POWERS | undefined;
  const bytes = Math.floor(Number(match?.[1]) * 1000 ** (unit === undefined ? 0 : POWERS[unit]));
  if (!(bytes > 0)) throw new UsageError(`invalid log opt max-size: invalid size: '${text}'`);
  return Math.min(bytes, UNLIMITED);
}

function parseCount(text: string): number {
  const count = /^\d+$/.test(text) ? Number(text) : 0;
  if (count < 1 || count > 1000)
    throw new UsageError(`invalid log opt max-file: max-file cannot be less than 1: '${text}'`);
  return count;
}
