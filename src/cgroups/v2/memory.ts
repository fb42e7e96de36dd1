/** Memory on cgroup v2: Documentation/admin-guide/cgroup-v2.rst, "Memory". */
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

const PAGE = 4096;

const write = (file: string, value: number, field: ResourceField): CgroupWrite => ({
  controller: "memory",
  file: `memory.${file}`,
  value: value === -1 ? "max" : String(value),
  field,
});

/**
 * OCI counts memory and swap together as v1 does; v2 counts swap alone. As runc: unlimited memory
 * without a word on swap means unlimited swap; a limit of both needs to know the limit of memory,
 * which is the one in force when only swap is changed.
 */
function planSwap(limit: number, swap: number, current: ReadCurrent): CgroupWrite[] {
  if (limit === -1 && swap === 0) {
    const unlimited = current("memory.swap.max") === undefined ? [] : [-1];
    return unlimited.map((value) => write("swap.max", value, "memory.limit"));
  }
  if (swap === 0) return [];
  if (swap === -1 || limit === -1) return [write("swap.max", swap, "memory.swap")];
  const memory = limit > 0 ? limit : parseLimit(current("memory.max"));
  const asked = write("swap.max", swap, "memory.swap");
  if (memory === undefined)
    throw limitError(asked, "a limit of memory and swap needs one of memory");
  if (swap < memory) throw limitError(asked, `less than the limit of memory alone, ${memory}`);
  return [write("swap.max", swap - memory, "memory.swap")];
}

function plan({ memory }: Resources, current: ReadCurrent): CgroupWrite[] {
  if (memory === undefined) return [];
  const { limit = 0, swap = 0, reservation } = memory;
  const writes: CgroupWrite[] = [];
  if (limit !== 0) {
    const max = write("max", limit, "memory.limit");
    if (limit < -1 || (limit > 0 && limit < PAGE))
      throw limitError(max, "less than one page of memory");
    const usage = Number(current("memory.current") ?? 0);
    // The kernel would take it and kill; runc's check keeps an update from doing that.
    if (memory.checkBeforeUpdate === true && limit > 0 && usage > limit)
      throw limitError(max, `the group already uses ${usage} bytes`);
    writes.push(max);
  }
  writes.unshift(...planSwap(limit, swap, current));
  if (isSet(reservation)) writes.push(write("low", reservation, "memory.reservation"));
  if (memory.swappiness !== undefined && memory.swappiness !== -1)
    throw limitError(
      write("swappiness", memory.swappiness, "memory.swappiness"),
      "cgroup v2 has no such limit",
    );
  if (memory.disableOOMKiller === true)
    throw limitError(
      write("oom_control", 1, "memory.disableOOMKiller"),
      "cgroup v2 cannot switch the OOM killer off",
    );
  return writes;
}

function stats(read: ReadCurrent): CgroupStats {
  const usage = read("memory.current");
  if (usage === undefined) return {};
  const limit = parseLimit(read("memory.max"));
  return {
    memory: {
      usage: Number(usage),
      inactiveFile: flatValue(read("memory.stat"), "inactive_file") ?? 0,
      ...(limit === undefined ? {} : { limit }),
      oomKills: oomKills(read),
    },
  };
}

/** Processes of this cgroup and its descendants that the kernel killed for want of memory. */
export function oomKills(read: ReadCurrent): number {
  return flatValue(read("memory.events"), "oom_kill") ?? 0;
}

/** Memory, and swap beside it. */
export const memory: Controller = { name: "memory", always: true, plan, stats };
