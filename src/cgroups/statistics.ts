/** All figures of a cgroup, as engines want them; what is 0 is left out where runc's type says `omitempty`. */
import type { ReadCurrent } from "./controller.ts";
import { reader } from "./directory.ts";
import type { Cgroup } from "./manager.ts";
import type { Statistics } from "./statistics_shape.ts";
import { statisticsV1 } from "./v1/statistics.ts";
import { statisticsV2 } from "./v2/statistics.ts";

declare global {
  interface JSON {
    /** tc39's proposal-json-parse-with-source, which the types of this version lack. */
    rawJSON(text: string): unknown;
  }
}

/** What a cgroup has used until now. What it has no controller for is 0. */
export function readStatistics(cgroup: Cgroup): Statistics {
  const v2 = cgroup.v2Directory;
  if (v2 !== undefined) return statisticsV2(reader(v2));
  const readers = new Map<string, ReadCurrent>();
  for (const { directory, controllers } of cgroup.members)
    for (const { name } of controllers) readers.set(name, reader(directory));
  // A file's name starts with its controller's.
  return statisticsV1((file) => readers.get(file.slice(0, file.indexOf(".")))?.(file));
}

/** JSON with exact counts, which JSON.stringify alone would refuse or round. */
export function statisticsJson(value: unknown): string {
  return JSON.stringify(value, (_, each: unknown) =>
    typeof each === "bigint" ? JSON.rawJSON(each.toString()) : each,
  );
}
