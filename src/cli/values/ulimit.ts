/** `--ulimit TYPE=SOFT[:HARD]`, as github.com/docker/go-units reads it. */
import type { UlimitRequest } from "../../engine/run_options.ts";
import { UsageError } from "../../errors.ts";
import { quote } from "../../quote.ts";

/** RLIM_INFINITY of sys/resource.h, as near as a number comes: from 2^63 up it is meant. */
const UNLIMITED = 2 ** 64;

/** The lower-case names of getrlimit(2), without `RLIMIT_`. */
export const ULIMIT_TYPES: readonly string[] = [
  "as",
  "core",
  "cpu",
  "data",
  "fsize",
  "locks",
  "memlock",
  "msgqueue",
  "nice",
  "nofile",
  "nproc",
  "rss",
  "rtprio",
  "rttime",
  "sigpending",
  "stack",
];

/** `nofile=1024:2048`, `core=-1`, `nproc=unlimited`; without HARD it is SOFT. */
export function parseUlimit(text: string): UlimitRequest {
  const sign = text.indexOf("=");
  if (sign < 0) throw new UsageError(`invalid ulimit argument: ${text}`);
  const type = text.slice(0, sign);
  if (!ULIMIT_TYPES.includes(type)) throw new UsageError(`invalid ulimit type: ${type}`);
  const limits = text.slice(sign + 1).split(":");
  if (limits.length > 2)
    throw new UsageError(
      `too many limit value arguments - ${text.slice(sign + 1)}, can only have up to two, \`soft[:hard]\``,
    );
  const soft = parseLimit(limits[0] ?? "");
  const hard = limits[1] === undefined ? soft : parseLimit(limits[1]);
  if (soft > hard)
    throw new UsageError(
      `ulimit soft limit must be less than or equal to hard limit: ${say(soft)} > ${say(hard)}`,
    );
  return { name: `RLIMIT_${type.toUpperCase()}`, soft, hard };
}

function parseLimit(text: string): number {
  if (text === "-1" || text === "unlimited") return UNLIMITED;
  if (!/^\+?\d+$/.test(text))
    throw new UsageError(`strconv.ParseInt: parsing ${quote(text)}: invalid syntax`);
  const value = Number(text);
  // Go's int64 ends here; above 2^53 a number of files or bytes is no longer exact, nor matters.
  if (value >= 2 ** 63)
    throw new UsageError(`strconv.ParseInt: parsing ${quote(text)}: value out of range`);
  return Number(value);
}

const say = (limit: number): string => (limit === UNLIMITED ? "unlimited" : String(limit));
