/** The clock, against what is surely older than now. */
import { statIfExists } from "../../linux/file.ts";
import type { Paths } from "../../paths.ts";
import { defineCheck, type Finding, ok, warning } from "./check.ts";

/** Seconds since 1970. */
export interface ClockFacts {
  readonly now: number;
  /** of the last change, by what was changed */
  readonly changes: Readonly<Record<string, number>>;
}

const WHY =
  "times of images, containers and logs come from it, and certificates of registries count as not yet valid";
/** Between clock and file systems, in seconds. */
const TOLERANCE = 60;

/** The clock. */
export const clock = defineCheck({
  name: "clock",
  why: WHY,
  read({ root, run }: Paths): ClockFacts {
    const changes = [process.execPath, root, `${root}/containers`, `${root}/images`, run].flatMap(
      (path) => {
        const file = statIfExists(path);
        return file === undefined ? [] : [[path, file.mtime] as const];
      },
    );
    return { now: Date.now() / 1000, changes: Object.fromEntries(changes) };
  },
  judge({ now, changes }): Finding[] {
    const text = (seconds: number) => new Date(seconds * 1000).toISOString().slice(0, 19);
    const later = Object.entries(changes).find(([, time]) => time > now + TOLERANCE);
    if (later === undefined) return [ok("clock", `${text(now)} UTC`, WHY)];
    const [path, time] = later;
    const found = `it is ${text(now)} UTC, but ${path} was changed at ${text(time)}`;
    return [warning("clock", found, WHY, "set it: `timedatectl set-ntp true`, or `date -s`")];
  },
});
