/** Stopping a whole cgroup on v2: Documentation/admin-guide/cgroup-v2.rst, `cgroup.freeze`. Linux 5.2. */
import { poll } from "../../linux/fd.ts";
import { readFile, writeControl } from "../../linux/file.ts";
import { flatValue } from "../controller.ts";
import { reader } from "../directory.ts";
import { CgroupError } from "../error.ts";

/**
 * Stops everything in the cgroup and its descendants.
 * @throws {CgroupError} when it has not happened after `patience` milliseconds
 */
export function freezeV2(directory: string, patience = 2000): void {
  const end = performance.now() + patience;
  writeControl(`${directory}/cgroup.freeze`, "1");
  while (flatValue(readFile(`${directory}/cgroup.events`), "frozen") !== 1) {
    if (performance.now() > end) {
      thawV2(directory);
      throw new CgroupError(`cgroup: ${directory} does not freeze`, { controller: "cgroup" });
    }
    poll([], 1);
  }
}

/** Lets everything in the cgroup go on. @throws {SysError} */
export function thawV2(directory: string): void {
  writeControl(`${directory}/cgroup.freeze`, "0");
}

/** Whether it is stopped, or about to be. A cgroup that is gone is not. */
export function isFrozenV2(directory: string): boolean {
  return reader(directory)("cgroup.freeze") === "1";
}
