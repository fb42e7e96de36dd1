/** Huge pages on cgroup v2: Documentation/admin-guide/cgroup-v2.rst, "HugeTLB". */
import type { Controller } from "../controller.ts";
import { planHugetlb } from "../hugetlb_plan.ts";

/** Huge pages by size. */
export const hugetlb: Controller = {
  name: "hugetlb",
  always: false,
  plan: (resources, current) => planHugetlb(resources, current, "max"),
};
