/** Figures of cgroup v1 in runc's shape. Pure but for `read`. */
import type { ReadCurrent } from "../controller.ts";
import { parseCpuList } from "../cpu_list.ts";
import { count, flat, HUGE_PAGE_SIZES, hugetlbFigures, memoryEntry, omitZero } from "../figures.ts";
import type { BlkioEntry, Count, MemoryEntry, Statistics } from "../statistics_shape.ts";

/** USER_HZ, in which cpuacct.stat counts on every Linux: nanoseconds of one tick. */
const TICK = 10_000_000;

/** @param read any controller's files */
export function statisticsV1(read: ReadCurrent): Statistics {
  return {
    cpu: { usage: cpuUsage(read), throttling: throttling(read) },
    cpuset: cpusetFigures(read),
    memory: memoryFigures(read),
    pids: omitZero({ current: count(read("pids.current")), limit: count(read("pids.max")) }),
    blkio: blkioFigures(read),
    hugetlb: hugetlbFigures(HUGE_PAGE_SIZES, (size) => {
      const usage = read(`hugetlb.${size}.usage_in_bytes`);
      if (usage === undefined) return undefined;
      const max = count(read(`hugetlb.${size}.max_usage_in_bytes`));
      return { usage: count(usage), max, failcnt: count(read(`hugetlb.${size}.failcnt`)) };
    }),
    intel_rdt: {},
    network_interfaces: null,
  };
}

function cpuUsage(read: ReadCurrent): Statistics["cpu"]["usage"] {
  const ticks = flat(read("cpuacct.stat"));
  const numbers = (text: string | undefined) => text?.split(" ").filter(Boolean).map(count) ?? [];
  const percpu = numbers(read("cpuacct.usage_percpu"));
  // "cpu user system", and then so for each processor
  const modes = (read("cpuacct.usage_all") ?? "").split("\n").slice(1).map(numbers);
  const column = (index: number): Count[] => modes.map((line) => line[index] ?? 0);
  return {
    ...omitZero({ total: count(read("cpuacct.usage")) }),
    ...(percpu.length === 0 ? {} : { percpu }),
    ...(modes.length === 0 ? {} : { percpu_kernel: column(2), percpu_user: column(1) }),
    kernel: Number(ticks["system"] ?? 0) * TICK,
    user: Number(ticks["user"] ?? 0) * TICK,
  };
}

function throttling(read: ReadCurrent): Statistics["cpu"]["throttling"] {
  const stat = flat(read("cpu.stat"));
  return omitZero({
    periods: stat["nr_periods"] ?? 0,
    throttledPeriods: stat["nr_throttled"] ?? 0,
    throttledTime: stat["throttled_time"] ?? 0,
  });
}

/** Files of a cpuset that runc shows, in its order. */
const CPUSET_FIGURES = [
  "cpu_exclusive",
  "mem_hardwall",
  "mem_exclusive",
  "memory_migrate",
  "memory_spread_page",
  "memory_spread_slab",
  "memory_pressure",
  "sched_load_balance",
  "sched_relax_domain_level",
] as const;

/** The lists of a cpuset, and its switches. */
export function cpusetFigures(read: ReadCurrent): Statistics["cpuset"] {
  const list = (name: string) => {
    const numbers = [...(parseCpuList(read(`cpuset.${name}`) ?? "") ?? [])];
    return numbers.length === 0 ? {} : { [name]: numbers };
  };
  const figures = CPUSET_FIGURES.map((name) => [name, count(read(`cpuset.${name}`))] as const);
  return { ...list("cpus"), ...list("mems"), ...Object.fromEntries(figures) };
}

function memoryFigures(read: ReadCurrent): Statistics["memory"] {
  const entry = (kind: string): MemoryEntry => {
    const figure = (name: string) => count(read(`memory.${kind}${name}`));
    const [limit, usage] = [figure("limit_in_bytes"), figure("usage_in_bytes")];
    return memoryEntry(limit, usage, figure("max_usage_in_bytes"), figure("failcnt"));
  };
  const raw = flat(read("memory.stat"));
  return {
    ...omitZero({ cache: raw["cache"] ?? 0 }),
    usage: entry(""),
    swap: entry("memsw."),
    kernel: entry("kmem."),
    kernelTCP: entry("kmem.tcp."),
    ...(Object.keys(raw).length === 0 ? {} : { raw }),
  };
}

/** runc's names, and the ends of the files' names. */
const BLKIO_FIGURES = [
  ["ioServiceBytesRecursive", "io_service_bytes_recursive"],
  ["ioServicedRecursive", "io_serviced_recursive"],
  ["ioQueueRecursive", "io_queued_recursive"],
  ["ioServiceTimeRecursive", "io_service_time_recursive"],
  ["ioWaitTimeRecursive", "io_wait_time_recursive"],
  ["ioMergedRecursive", "io_merged_recursive"],
  ["ioTimeRecursive", "time_recursive"],
  ["sectorsRecursive", "sectors_recursive"],
] as const;

/** The scheduler's own figures where it has any, else those of throttling, which every device has. */
function blkioFigures(read: ReadCurrent): Statistics["blkio"] {
  for (const prefix of ["blkio.bfq.", "blkio.", "blkio.throttle."]) {
    const figures = BLKIO_FIGURES.map(
      ([name, file]) => [name, blkioEntries(read(`${prefix}${file}`))] as const,
    ).filter(([, entries]) => entries.length > 0);
    if (figures.length > 0) return Object.fromEntries(figures);
  }
  return {};
}

/** Lines such as `8:0 Read 4096`, or `8:0 4096`. */
function blkioEntries(text: string | undefined): BlkioEntry[] {
  return (text ?? "").split("\n").flatMap((line): BlkioEntry[] => {
    const [, major, minor, op = "", value] = /^(\d+):(\d+) (?:(\w+) )?(\d+)$/.exec(line) ?? [];
    if (value === undefined) return [];
    return [omitZero({ major: count(major), minor: count(minor), op, value: count(value) })];
  });
}
