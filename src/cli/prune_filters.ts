/** `--filter` of `prune`. */
import type { PruneConditions } from "../engine/prune_conditions.ts";
import { MydockerError, UsageError } from "../errors.ts";
import type { BooleanOption, ListOption } from "./option_table.ts";
import {
  booleanFilter,
  checkFilters,
  type Filter,
  parseFilter,
  valuesOf,
} from "./values/filter.ts";
import { parseTimestamp } from "./values/timestamp.ts";

/** The option. @param known what it understands, for the help */
export const pruneFilter = (known: string) =>
  ({
    type: "list",
    value: "filter",
    description: `Remove only those: ${known}`,
    parse: parseFilter,
  }) as const satisfies ListOption;

/** The option without which is asked. */
export const FORCE_PRUNE = {
  type: "boolean",
  short: "f",
  description: "Do not ask",
} as const satisfies BooleanOption;

/** What has to be met. @param known names of the filters that there are */
export function pruneConditions(
  filters: readonly Filter[],
  known: readonly string[],
): PruneConditions {
  checkFilters(filters, known);
  const [until, ...others] = valuesOf(filters, "until");
  if (others.length > 0) throw new MydockerError("more than one until filter specified");
  return {
    ...(until === undefined ? {} : { until: timeOf(until) }),
    labels: valuesOf(filters, "label"),
    withoutLabels: valuesOf(filters, "label!"),
  };
}

/** With the exit code that Docker has for filters, other than for options. */
function timeOf(text: string): number {
  try {
    return parseTimestamp(text);
  } catch (cause) {
    if (cause instanceof UsageError) throw new MydockerError(cause.message, { cause });
    throw cause;
  }
}

/** Whether `--all` is meant, be it as an option or as a filter. @param filter `all`, or what means its contrary */
export function isAllMeant(
  option: boolean,
  filters: readonly Filter[],
  filter: "all" | "dangling",
) {
  const said = booleanFilter(filters, filter);
  if (said === undefined) return option;
  if (option && filter === "all")
    throw new MydockerError(
      `conflicting options: cannot specify both --all and --filter all=${said ? 1 : 0}`,
    );
  return option || (filter === "all" ? said : !said);
}
