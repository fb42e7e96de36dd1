/** How the kernel shares out processors, memory nodes and disks (sched(7), ioprio_set(2), set_mempolicy(2)). */
import { check } from "../ffi/call.ts";
import { libc } from "../ffi/libc.ts";
import { defineStruct } from "../ffi/struct.ts";
import { SYS } from "./syscall_numbers.ts";

// linux/sched.h
export const SCHED: Readonly<Record<string, number>> = {
  SCHED_OTHER: 0,
  SCHED_FIFO: 1,
  SCHED_RR: 2,
  SCHED_BATCH: 3,
  SCHED_ISO: 4,
  SCHED_IDLE: 5,
  SCHED_DEADLINE: 6,
};
export const SCHED_FLAGS: Readonly<Record<string, number>> = {
  SCHED_FLAG_RESET_ON_FORK: 0x01,
  SCHED_FLAG_RECLAIM: 0x02,
  SCHED_FLAG_DL_OVERRUN: 0x04,
  SCHED_FLAG_KEEP_POLICY: 0x08,
  SCHED_FLAG_KEEP_PARAMS: 0x10,
  SCHED_FLAG_UTIL_CLAMP_MIN: 0x20,
  SCHED_FLAG_UTIL_CLAMP_MAX: 0x40,
};
// linux/ioprio.h
export const IOPRIO_CLASS: Readonly<Record<string, number>> = {
  IOPRIO_CLASS_RT: 1,
  IOPRIO_CLASS_BE: 2,
  IOPRIO_CLASS_IDLE: 3,
};
// linux/mempolicy.h
export const MPOL: Readonly<Record<string, number>> = {
  MPOL_DEFAULT: 0,
  MPOL_PREFERRED: 1,
  MPOL_BIND: 2,
  MPOL_INTERLEAVE: 3,
  MPOL_LOCAL: 4,
  MPOL_PREFERRED_MANY: 5,
  MPOL_WEIGHTED_INTERLEAVE: 6,
};
export const MPOL_FLAGS: Readonly<Record<string, number>> = {
  MPOL_F_STATIC_NODES: 1 << 15,
  MPOL_F_RELATIVE_NODES: 1 << 14,
  MPOL_F_NUMA_BALANCING: 1 << 13,
};
// linux/personality.h
export const PER: Readonly<Record<string, number>> = { LINUX: 0, LINUX32: 0x0008 };

/** struct sched_attr, linux/sched/types.h (SCHED_ATTR_SIZE_VER0). */
const schedAttr = defineStruct({
  size: "u32",
  policy: "u32",
  flags: "u64",
  nice: "i32",
  priority: "u32",
  runtime: "u64",
  deadline: "u64",
  period: "u64",
});

/** What sched_setattr(2) sets; times in nanoseconds. */
export interface SchedulingAttributes {
  readonly policy: number;
  readonly flags: number;
  readonly nice: number;
  readonly priority: number;
  readonly runtime: number;
  readonly deadline: number;
  readonly period: number;
}

/** sched_setattr(2) of the calling thread. @param name of the policy, for errors */
export function setScheduling(attributes: SchedulingAttributes, name: string): void {
  const attr = schedAttr.alloc();
  schedAttr.set(attr, "size", schedAttr.size);
  for (const [field, value] of Object.entries(attributes)) {
    schedAttr.set(attr, field as keyof SchedulingAttributes, value);
  }
  check("sched_setattr", () => ({ name }), libc.sched_setattr(SYS.sched_setattr, 0, attr, 0));
}

/** sched_setaffinity(2) of the calling thread: it runs on these processors only. */
export function setAffinity(processors: Iterable<number>): void {
  const mask = bitMask(processors);
  check(
    "sched_setaffinity",
    {},
    libc.sched_setaffinity(SYS.sched_setaffinity, 0, mask.length, mask),
  );
}

/** ioprio_set(2) of the calling thread. @param priority 0–7, 0 is the most */
export function setIoPriority(ioClass: number, priority: number, name: string): void {
  const IOPRIO_WHO_PROCESS = 1;
  const value = (ioClass << 13) | priority; // IOPRIO_PRIO_VALUE
  check(
    "ioprio_set",
    () => ({ name, priority }),
    libc.ioprio_set(SYS.ioprio_set, IOPRIO_WHO_PROCESS, 0, value),
  );
}

/** personality(2). */
export function setPersonality(persona: number, name: string): void {
  check("personality", () => ({ name }), libc.personality(SYS.personality, persona));
}

/** set_mempolicy(2) of the calling thread. @param nodes memory nodes; none for modes that take none */
export function setMemoryPolicy(mode: number, nodes: Iterable<number>, name: string): void {
  const mask = bitMask(nodes);
  const empty = mask.every((byte) => byte === 0);
  check(
    "set_mempolicy",
    () => ({ name }),
    // One bit more than there are: the kernel takes maxnode for one too many.
    libc.set_mempolicy(
      SYS.set_mempolicy,
      mode,
      empty ? null : mask,
      empty ? 0 : mask.length * 8 + 1,
    ),
  );
}

/** Bits as an array of unsigned long, little-endian. */
function bitMask(numbers: Iterable<number>): Uint8Array {
  const list = [...numbers];
  const words = Math.floor(Math.max(0, ...list) / 64) + 1;
  const mask = new Uint8Array(Math.max(words * 8, 128));
  for (const number of list)
    mask[number >> 3] = (mask[number >> 3] as number) | (1 << (number & 7));
  return mask;
}
