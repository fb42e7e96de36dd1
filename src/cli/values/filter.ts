/** `--filter KEY=VALUE`, as Docker reads it (docker/cli: opts/opts.go, FilterOpt.Set). */
import { UsageError } from "../../errors.ts";

/** One of the conditions that are to be met. */
export interface Filter {
  /** in lower case */
  readonly key: string;
  readonly value: string;
}

/** @throws {UsageError} when there is no `=` */
export function parseFilter(text: string): Filter {
  const sign = text.indexOf("=");
  if (sign < 0) throw new UsageError("bad format of filter (expected name=value)");
  return {
    key: text.slice(0, sign).trim().toLowerCase(),
    value: text.slice(sign + 1).trim(),
  };
}
