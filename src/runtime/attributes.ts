/** What else a process of a container is given: scheduling, priorities, personality (config.md, config-linux.md). */
import { parseCpuList } from "../cgroups/cpu_list.ts";
import {
  IOPRIO_CLASS,
  MPOL,
  MPOL_FLAGS,
  PER,
  SCHED,
  SCHED_FLAGS,
  setAffinity,
  setIoPriority,
  setMemoryPolicy,
  setPersonality,
  setScheduling,
} from "../linux/scheduling.ts";
import type { Linux, MemoryPolicy, Process, Scheduler } from "./spec.ts";

/** Sets what is asked for, with privileges, as most of it takes some. @throws {SysError} */
export function applyAttributes(
  { scheduler, ioPriority }: Process,
  { personality, memoryPolicy }: Linux,
): void {
  if (ioPriority !== undefined) {
    const ioClass = IOPRIO_CLASS[ioPriority.class] as number;
    setIoPriority(ioClass, ioPriority.priority, ioPriority.class);
  }
  if (memoryPolicy !== undefined) applyMemoryPolicy(memoryPolicy);
  if (personality !== undefined) {
    setPersonality(PER[personality.domain] as number, personality.domain);
  }
  if (scheduler !== undefined) applyScheduler(scheduler);
}

function applyScheduler(scheduler: Scheduler): void {
  const { policy, nice = 0, priority = 0, runtime = 0, deadline = 0, period = 0 } = scheduler;
  const flags = bits(SCHED_FLAGS, scheduler.flags);
  const attributes = { policy: SCHED[policy] as number, flags, nice, priority };
  setScheduling({ ...attributes, runtime, deadline, period }, policy);
}

function applyMemoryPolicy({ mode, nodes, flags }: MemoryPolicy): void {
  setMemoryPolicy(
    (MPOL[mode] as number) | bits(MPOL_FLAGS, flags),
    parseCpuList(nodes) ?? [],
    mode,
  );
}

/** Binds the calling process to processors. @param list such as `0-2,7`; undefined leaves it as it is */
export function applyAffinity(list: string | undefined): void {
  if (list !== undefined && list !== "") setAffinity(parseCpuList(list) ?? []);
}

const bits = (table: Readonly<Record<string, number>>, names: readonly string[]): number =>
  names.reduce((sum, name) => sum | (table[name] ?? 0), 0);
