/** Processors and memory nodes on cgroup v1: cpuset(7). */
import type { CgroupWrite, Controller, ReadCurrent } from "../controller.ts";
import { planCpuset } from "../cpuset_plan.ts";

/** A new v1 cpuset is empty and takes no process (ENOSPC) until it has both lists: the parent's. */
function inherit(current: ReadCurrent): CgroupWrite[] {
  const writes: CgroupWrite[] = [];
  for (const file of ["cpuset.cpus", "cpuset.mems"]) {
    const parent = current(`../${file}`);
    if (current(file) === "" && parent !== undefined && parent !== "")
      writes.push({ controller: "cpuset", file, value: parent });
  }
  return writes;
}

/** Processors and memory nodes. */
export const cpuset: Controller = {
  name: "cpuset",
  always: false,
  counts: true,
  plan: (resources, current) =>
    planCpuset(resources, current, { cpus: "../cpuset.cpus", mems: "../cpuset.mems" }),
  inherit,
};
