/** Processor time on cgroup v2: Documentation/admin-guide/cgroup-v2.rst, "CPU". */
import {
  type CgroupStats,
  type CgroupWrite,
  type Controller,
  flatValue,
  isSet,
  type ReadCurrent,
} from "../controller.ts";
import { limitError } from "../error.ts";
import type { ResourceField, Resources } from "../resources.ts";

const write = (file: string, value: string | number, field: ResourceField): CgroupWrite => ({
  controller: "cpu",
  file: `cpu.${file}`,
  value: String(value),
  field,
});

/**
 * v1's shares (2–262144, default 1024) as v2's weight (1–10000, default 100): the curve through all
 * three points that runc 1.4 and crun 1.23 use. The older straight line turned 1024 into 39, less
 * than half of what a process outside any container gets.
 */
export function sharesToWeight(shares: number): number {
  if (shares <= 2) return 1;
  if (shares >= 262144) return 10000;
  const log = Math.log2(shares);
  return Math.ceil(10 ** ((log * log + 125 * log) / 612 - 7 / 34));
}

/** `quota period`; only what is asked for changes. */
function planMax(cpu: NonNullable<Resources["cpu"]>, current: ReadCurrent): CgroupWrite[] {
  if (!isSet(cpu.quota) && !isSet(cpu.period)) return [];
  const before = current("cpu.max")?.split(" ")[0] ?? "max";
  const quota = isSet(cpu.quota) ? (cpu.quota < 0 ? "max" : String(cpu.quota)) : before;
  const value = isSet(cpu.period) ? `${quota} ${cpu.period}` : quota;
  return [write("max", value, isSet(cpu.quota) ? "cpu.quota" : "cpu.period")];
}

function plan({ cpu }: Resources, current: ReadCurrent): CgroupWrite[] {
  if (cpu === undefined) return [];
  for (const [value, file, field] of [
    [cpu.realtimeRuntime, "rt_runtime_us", "cpu.realtimeRuntime"],
    [cpu.realtimePeriod, "rt_period_us", "cpu.realtimePeriod"],
  ] as const)
    if (isSet(value))
      throw limitError(write(file, value, field), "cgroup v2 has no limit of real-time processes");
  const writes: CgroupWrite[] = [];
  if (isSet(cpu.shares)) writes.push(write("weight", sharesToWeight(cpu.shares), "cpu.shares"));
  if (cpu.idle !== undefined) {
    const idle = write("idle", cpu.idle, "cpu.idle");
    // An idle group has no weight to set (EINVAL), so it becomes idle last and stops being idle first.
    if (cpu.idle === 0) writes.unshift(idle);
    else writes.push(idle);
  }
  const bandwidth = planMax(cpu, current);
  if (cpu.burst !== undefined) {
    // The burst may not exceed the quota at any moment.
    const burst = write("max.burst", cpu.burst, "cpu.burst");
    if (cpu.burst < Number(current("cpu.max.burst") ?? 0)) bandwidth.unshift(burst);
    else bandwidth.push(burst);
  }
  return [...writes, ...bandwidth];
}

function stats(read: ReadCurrent): CgroupStats {
  const usage = flatValue(read("cpu.stat"), "usage_usec");
  return usage === undefined ? {} : { cpu: { usage: usage * 1000 } };
}

/** Weight and bandwidth. */
export const cpu: Controller = { name: "cpu", always: true, plan, stats };
