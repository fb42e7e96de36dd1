/** Processor time on cgroup v1: Documentation/scheduler/sched-bwc.rst, sched-rt-group.rst. */
import { type CgroupWrite, type Controller, isSet, type ReadCurrent } from "../controller.ts";
import type { ResourceField, Resources } from "../resources.ts";

const write = (file: string, value: number, field: ResourceField): CgroupWrite => ({
  controller: "cpu",
  file,
  value: String(value),
  field,
});

function plan({ cpu }: Resources, current: ReadCurrent): CgroupWrite[] {
  if (cpu === undefined) return [];
  const writes: CgroupWrite[] = [];
  if (isSet(cpu.shares)) writes.push(write("cpu.shares", cpu.shares, "cpu.shares"));
  if (cpu.idle !== undefined) {
    const idle = write("cpu.idle", cpu.idle, "cpu.idle");
    // An idle group has no shares to set (EINVAL), so it becomes idle last and stops being idle first.
    if (cpu.idle === 0) writes.unshift(idle);
    else writes.push(idle);
  }
  writes.push(...planBandwidth(cpu, current));
  if (isSet(cpu.realtimePeriod))
    writes.push(write("cpu.rt_period_us", cpu.realtimePeriod, "cpu.realtimePeriod"));
  if (isSet(cpu.realtimeRuntime))
    writes.push(write("cpu.rt_runtime_us", cpu.realtimeRuntime, "cpu.realtimeRuntime"));
  return writes;
}

/**
 * Quota, period and burst, one file each, and after each write the kernel checks that quota/period
 * does not exceed the parent's and that burst does not exceed quota. So each write in between has to
 * be no looser than the old state or the new one.
 */
function planBandwidth(cpu: NonNullable<Resources["cpu"]>, current: ReadCurrent): CgroupWrite[] {
  const writes: CgroupWrite[] = [];
  if (isSet(cpu.period)) writes.push(write("cpu.cfs_period_us", cpu.period, "cpu.period"));
  if (isSet(cpu.quota))
    writes.push(write("cpu.cfs_quota_us", Math.max(cpu.quota, -1), "cpu.quota"));
  if (isSet(cpu.period) && isSet(cpu.quota)) {
    const limited = Number(current("cpu.cfs_quota_us") ?? -1) > 0;
    if (limited && cpu.period < Number(current("cpu.cfs_period_us"))) writes.reverse();
  }
  if (cpu.burst !== undefined) {
    const burst = write("cpu.cfs_burst_us", cpu.burst, "cpu.burst");
    if (cpu.burst < Number(current("cpu.cfs_burst_us") ?? 0)) writes.unshift(burst);
    else writes.push(burst);
  }
  return writes;
}

/** Shares, bandwidth and real-time limits. */
export const cpu: Controller = { name: "cpu", always: true, plan };
