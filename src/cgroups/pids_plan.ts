/** The pids controller is the same on both versions: Documentation/admin-guide/cgroup-v1/pids.rst, cgroup-v2.rst. */
import { type CgroupStats, type CgroupWrite, parseLimit, type ReadCurrent } from "./controller.ts";
import type { Resources } from "./resources.ts";

/** `pids.limit`: negative is none. */
export function planPids({ pids }: Resources): CgroupWrite[] {
  if (pids?.limit === undefined) return [];
  const value = pids.limit < 0 ? "max" : String(pids.limit);
  return [{ controller: "pids", file: "pids.max", value, field: "pids.limit" }];
}

/** The figures of `pids.current` and `pids.max`. */
export function pidsStats(read: ReadCurrent): CgroupStats {
  const current = read("pids.current");
  if (current === undefined) return {};
  const limit = parseLimit(read("pids.max"));
  return { pids: { current: Number(current), ...(limit === undefined ? {} : { limit }) } };
}
