/** Huge pages on cgroup v1: Documentation/admin-guide/cgroup-v1/hugetlb.rst. */
import type { Controller } from "../controller.ts";
import { planHugetlb } from "../hugetlb_plan.ts";

/** Huge pages by size. */
export const hugetlb: Controller = {
  name: "hugetlb",
  always: false,
  counts: true,
  plan: (resources, current) => planHugetlb(resources, current, "limit_in_bytes"),
};
