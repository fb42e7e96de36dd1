/** Processors and memory nodes on cgroup v2: Documentation/admin-guide/cgroup-v2.rst, "Cpuset". */
import type { Controller } from "../controller.ts";
import { planCpuset } from "../cpuset_plan.ts";

/** Processors and memory nodes. */
export const cpuset: Controller = {
  name: "cpuset",
  always: false,
  plan: (resources, current) =>
    planCpuset(resources, current, {
      cpus: "../cpuset.cpus.effective",
      mems: "../cpuset.mems.effective",
    }),
};
