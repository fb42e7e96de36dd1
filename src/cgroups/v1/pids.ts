/** The number of tasks, on cgroup v1. */
import type { Controller } from "../controller.ts";
import { pidsStats, planPids } from "../pids_plan.ts";

/** The number of tasks. */
export const pids: Controller = { name: "pids", always: true, plan: planPids, stats: pidsStats };
