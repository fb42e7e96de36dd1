/** Processor time used, on cgroup v1: Documentation/admin-guide/cgroup-v1/cpuacct.rst. Nothing to limit. */
import type { Controller } from "../controller.ts";

/** Counts processor time. */
export const cpuacct: Controller = {
  name: "cpuacct",
  always: true,
  plan: () => [],
  stats(read) {
    const usage = read("cpuacct.usage");
    return usage === undefined ? {} : { cpu: { usage: Number(usage) } };
  },
};
