/** Stopping a whole cgroup on v1: Documentation/admin-guide/cgroup-v1/freezer-subsystem.rst. */

import { poll } from "../../linux/fd.ts";
import { readFile, writeControl } from "../../linux/file.ts";
import type { Controller } from "../controller.ts";
import { reader } from "../directory.ts";
import { CgroupError } from "../error.ts";

/** Stops and goes; nothing to limit. */
export const freezer: Controller = { name: "freezer", always: true, plan: () => [] };

/**
 * Stops everything in the cgroup and its descendants. The kernel may stay at FREEZING when a process
 * is forking or being traced just then; writing FROZEN again makes it look again.
 * @param directory of the freezer hierarchy
 * @throws {CgroupError} when it has not happened after `patience` milliseconds
 */
export function freezeV1(directory: string, patience = 10_000): void {
  const end = performance.now() + patience;
  for (let round = 0; ; round++) {
    writeControl(`${directory}/freezer.state`, "FROZEN");
    if (readFile(`${directory}/freezer.state`).trim() === "FROZEN") return;
    if (performance.now() > end) break;
    if (round > 5) poll([], 1);
  }
  thawV1(directory);
  throw new CgroupError(`cgroup freezer: ${directory} does not freeze`, { controller: "freezer" });
}

/** Lets everything in the cgroup go on. @throws {SysError} */
export function thawV1(directory: string): void {
  writeControl(`${directory}/freezer.state`, "THAWED");
}

/** Whether it is stopped, or about to be. A cgroup that is gone is not. */
export function isFrozenV1(directory: string): boolean {
  const state = reader(directory)("freezer.state");
  return state !== undefined && state !== "THAWED";
}
