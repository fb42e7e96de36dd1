/** Figures of cgroup v2 in runc's shape, which is v1's. Pure but for `read`. */
import type { ReadCurrent } from "../controller.ts";
import {
  count,
  flat,
  HUGE_PAGE_SIZES,
  hugetlbFigures,
  memoryEntry,
  nanoseconds,
  omitZero,
} from "../figures.ts";
import type { BlkioEntry, Count, Statistics } from "../statistics_shape.ts";
import { cpusetFigures } from "../v1/statistics.ts";

/** What runc says for `max`: the largest of 64 bits. */
const UNLIMITED = 2n ** 64n - 1n;

const limitOf = (text: string | undefined): Count => (text === "max" ? UNLIMITED : count(text));

const sum = (a: Count, b: Count): Count => {
  const total = BigInt(a) + BigInt(b);
  return total <= Number.MAX_SAFE_INTEGER ? Number(total) : total;
};

/** @param read the cgroup's files */
export function statisticsV2(read: ReadCurrent): Statistics {
  const cpu = flat(read("cpu.stat"));
  return {
    cpu: {
      usage: {
        ...omitZero({ total: nanoseconds(cpu["usage_usec"]) }),
        kernel: nanoseconds(cpu["system_usec"]),
        user: nanoseconds(cpu["user_usec"]),
      },
      throttling: omitZero({
        periods: cpu["nr_periods"] ?? 0,
        throttledPeriods: cpu["nr_throttled"] ?? 0,
        throttledTime: nanoseconds(cpu["throttled_usec"]),
      }),
    },
    // runc has v1's figures alone; the lists would be v2's cpuset.cpus.effective.
    cpuset: cpusetFigures(() => undefined),
    memory: memoryFigures(read),
    pids: omitZero({ current: count(read("pids.current")), limit: count(read("pids.max")) }),
    blkio: ioFigures(read("io.stat")),
    hugetlb: hugetlbFigures(HUGE_PAGE_SIZES, (size) => {
      const usage = read(`hugetlb.${size}.current`);
      if (usage === undefined) return undefined;
      const events = flat(read(`hugetlb.${size}.events`));
      return { usage: count(usage), max: 0, failcnt: events["max"] ?? 0 };
    }),
    intel_rdt: {},
    network_interfaces: null,
  };
}

/** v1's figure of swap is that of memory and swap together. */
function memoryFigures(read: ReadCurrent): Statistics["memory"] {
  const raw = flat(read("memory.stat"));
  const usage = count(read("memory.current"));
  const limit = limitOf(read("memory.max"));
  const swapLimit = limitOf(read("memory.swap.max"));
  const both = [limit, swapLimit].includes(UNLIMITED) ? UNLIMITED : sum(limit, swapLimit);
  return {
    ...omitZero({ cache: raw["file"] ?? 0 }),
    usage: memoryEntry(limit, usage, count(read("memory.peak")), 0),
    swap: memoryEntry(both, sum(usage, count(read("memory.swap.current"))), 0, 0),
    kernel: memoryEntry(0, 0, 0, 0),
    kernelTCP: memoryEntry(0, 0, 0, 0),
    ...(Object.keys(raw).length === 0 ? {} : { raw }),
  };
}

/** Lines such as `8:0 rbytes=4096 wbytes=0 rios=1 wios=0 dbytes=0 dios=0`. */
function ioFigures(text: string | undefined): Statistics["blkio"] {
  const bytes: BlkioEntry[] = [];
  const operations: BlkioEntry[] = [];
  for (const line of (text ?? "").split("\n")) {
    const [, major, minor, rest = ""] = /^(\d+):(\d+) (.*)$/.exec(line) ?? [];
    for (const [, kind = "", value] of rest.matchAll(/\b([rw](?:bytes|ios))=(\d+)/g)) {
      const op = kind.startsWith("r") ? "Read" : "Write";
      const list = kind.endsWith("bytes") ? bytes : operations;
      list.push(omitZero({ major: count(major), minor: count(minor), op, value: count(value) }));
    }
  }
  return {
    ...(bytes.length === 0 ? {} : { ioServiceBytesRecursive: bytes }),
    ...(operations.length === 0 ? {} : { ioServicedRecursive: operations }),
  };
}
