/** Memory on cgroup v1: Documentation/admin-guide/cgroup-v1/memory.rst. */
import {
  type CgroupStats,
  type CgroupWrite,
  type Controller,
  flatValue,
  isSet,
  parseLimit,
  type ReadCurrent,
} from "../controller.ts";
import { limitError } from "../error.ts";
import type { ResourceField, Resources } from "../resources.ts";

const LIMIT = "memory.limit_in_bytes";
const SWAP_LIMIT = "memory.memsw.limit_in_bytes";
/** The smallest page: the kernel rounds down to pages, so less would be a limit of 0. */
const PAGE = 4096;

const write = (file: string, value: number, field: ResourceField): CgroupWrite => ({
  controller: "memory",
  file,
  value: String(value),
  field,
});

/** The limits of memory, and of memory with swap, in the order that the kernel takes: the first never exceeds the second. */
function planLimits(limit: number, swap: number, current: ReadCurrent): CgroupWrite[] {
  // "Unlimited memory" with a limited sum would be refused, so it means both.
  const both = limit === -1 && swap === 0 && current(SWAP_LIMIT) !== undefined ? -1 : swap;
  const writes: CgroupWrite[] = [];
  if (limit !== 0) writes.push(write(LIMIT, limit, "memory.limit"));
  if (both !== 0) writes.push(write(SWAP_LIMIT, both, swap === 0 ? "memory.limit" : "memory.swap"));
  const before = parseLimit(current(LIMIT)) ?? Number.POSITIVE_INFINITY;
  const raises = both === -1 || before < both;
  return raises ? writes.reverse() : writes;
}

function plan({ memory }: Resources, current: ReadCurrent): CgroupWrite[] {
  if (memory === undefined) return [];
  const { limit = 0, swap = 0, reservation, swappiness } = memory;
  const writes = planLimits(limit, swap, current);
  if (isSet(reservation))
    writes.push(write("memory.soft_limit_in_bytes", reservation, "memory.reservation"));
  for (const planned of writes) {
    const bytes = Number(planned.value);
    if (bytes < -1 || (bytes >= 0 && bytes < PAGE))
      throw limitError(planned, "less than one page of memory");
  }
  if (limit > 0 && swap > 0 && swap < limit)
    throw limitError(
      write(SWAP_LIMIT, swap, "memory.swap"),
      `less than the limit of memory alone, ${limit}`,
    );
  if (memory.checkBeforeUpdate === true && limit > 0) {
    const usage = Number(current("memory.usage_in_bytes") ?? 0);
    if (usage > limit)
      throw limitError(
        write(LIMIT, limit, "memory.limit"),
        `the group already uses ${usage} bytes`,
      );
  }
  if (swappiness !== undefined && swappiness !== -1) {
    const planned = write("memory.swappiness", swappiness, "memory.swappiness");
    if (swappiness < 0 || swappiness > 100) throw limitError(planned, "not between 0 and 100");
    writes.push(planned);
  }
  if (memory.disableOOMKiller === true)
    writes.push(write("memory.oom_control", 1, "memory.disableOOMKiller"));
  return writes;
}

function stats(read: ReadCurrent): CgroupStats {
  const usage = read("memory.usage_in_bytes");
  if (usage === undefined) return {};
  const limit = parseLimit(read(LIMIT));
  return {
    memory: {
      usage: Number(usage),
      inactiveFile: flatValue(read("memory.stat"), "total_inactive_file") ?? 0,
      ...(limit === undefined ? {} : { limit }),
      oomKills: oomKills(read),
    },
  };
}

/** Processes of this cgroup itself that the kernel killed for want of memory; 0 before Linux 4.13, which does not count. */
export function oomKills(read: ReadCurrent): number {
  return flatValue(read("memory.oom_control"), "oom_kill") ?? 0;
}

/** Memory, and memory with swap. */
export const memory: Controller = { name: "memory", always: true, plan, stats };
