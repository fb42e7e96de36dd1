/** bpf(2), as far as programs of cgroups need it. Constants from linux/bpf.h. */
import { cString } from "../ffi/bytes.ts";
import { check, Flags } from "../ffi/call.ts";
import { addressOf, libc } from "../ffi/libc.ts";
import { defineStruct } from "../ffi/struct.ts";
import { SYS } from "./syscall_numbers.ts";

export const BPF_PROG_TYPE_CGROUP_DEVICE = 15;
export const BPF_CGROUP_DEVICE = 6;

export const BPF_F = {
  /** beside other programs of this cgroup and of those in it: all have to agree */
  BPF_F_ALLOW_MULTI: 2,
  /** in the place of another program, at once; Linux 5.6 */
  BPF_F_REPLACE: 4,
} as const;

const BPF_PROG_LOAD = 5;
const BPF_PROG_ATTACH = 8;
const BPF_PROG_DETACH = 9;
const BPF_PROG_GET_FD_BY_ID = 13;
const BPF_PROG_QUERY = 16;

// Members of union bpf_attr; the kernel takes what follows for zero.
const programLoad = defineStruct({
  progType: "u32",
  insnCnt: "u32",
  insns: "ptr",
  license: "ptr",
  logLevel: "u32",
  logSize: "u32",
  logBuf: "ptr",
  kernVersion: "u32",
  progFlags: "u32",
  progName: { bytes: 16 },
});
const programAttach = defineStruct({
  targetFd: "u32",
  attachBpfFd: "u32",
  attachType: "u32",
  attachFlags: "u32",
  replaceBpfFd: "u32",
});
const programQuery = defineStruct({
  targetFd: "u32",
  attachType: "u32",
  queryFlags: "u32",
  attachFlags: "u32",
  progIds: "ptr",
  progCnt: "u32",
});
const programById = defineStruct({ progId: "u32", nextId: "u32", openFlags: "u32" });

/**
 * BPF_PROG_LOAD of code that uses no helper of the kernel's.
 * @param instructions an array of struct bpf_insn, of 8 bytes each
 * @param log filled with what the verifier has to say, a C string
 * @returns a descriptor, close-on-exec
 */
export function loadProgram(type: number, instructions: Uint8Array, log?: Uint8Array): number {
  const license = cString("Apache-2.0");
  const attr = programLoad.alloc();
  programLoad.set(attr, "progType", type);
  programLoad.set(attr, "insnCnt", instructions.length / 8);
  programLoad.set(attr, "insns", addressOf(instructions));
  programLoad.set(attr, "license", addressOf(license));
  if (log !== undefined) {
    programLoad.set(attr, "logLevel", 1);
    programLoad.set(attr, "logSize", log.length);
    programLoad.set(attr, "logBuf", addressOf(log));
  }
  const fd = check(
    "bpf",
    () => ({ name: "BPF_PROG_LOAD", type, instructions: instructions.length / 8 }),
    libc.bpf(SYS.bpf, BPF_PROG_LOAD, attr, attr.length),
  );
  void license.length; // what attr points to lives until here
  return fd;
}

/** BPF_PROG_ATTACH to the cgroup that `cgroup` is an open directory of. @param replaced with BPF_F_REPLACE */
export function attachProgram(
  cgroup: number,
  program: number,
  type: number,
  flags: number,
  replaced?: number,
): void {
  const attr = programAttach.alloc();
  programAttach.set(attr, "targetFd", cgroup);
  programAttach.set(attr, "attachBpfFd", program);
  programAttach.set(attr, "attachType", type);
  programAttach.set(attr, "attachFlags", flags);
  if (replaced !== undefined) programAttach.set(attr, "replaceBpfFd", replaced);
  check(
    "bpf",
    () => ({ name: "BPF_PROG_ATTACH", type, flags: new Flags(BPF_F, flags) }),
    libc.bpf(SYS.bpf, BPF_PROG_ATTACH, attr, attr.length),
  );
}

/** BPF_PROG_DETACH. */
export function detachProgram(cgroup: number, program: number, type: number): void {
  const attr = programAttach.alloc();
  programAttach.set(attr, "targetFd", cgroup);
  programAttach.set(attr, "attachBpfFd", program);
  programAttach.set(attr, "attachType", type);
  check(
    "bpf",
    () => ({ name: "BPF_PROG_DETACH", type }),
    libc.bpf(SYS.bpf, BPF_PROG_DETACH, attr, attr.length),
  );
}

/** The most programs that one cgroup can have (BPF_CGROUP_MAX_PROGS). */
const MOST_PROGRAMS = 64;

/** BPF_PROG_QUERY: the ids of the programs of this cgroup itself. */
export function attachedPrograms(cgroup: number, type: number): number[] {
  const ids = new Uint32Array(MOST_PROGRAMS);
  const bytes = new Uint8Array(ids.buffer);
  const attr = programQuery.alloc();
  programQuery.set(attr, "targetFd", cgroup);
  programQuery.set(attr, "attachType", type);
  programQuery.set(attr, "progIds", addressOf(bytes));
  programQuery.set(attr, "progCnt", ids.length);
  check(
    "bpf",
    () => ({ name: "BPF_PROG_QUERY", type }),
    libc.bpf(SYS.bpf, BPF_PROG_QUERY, attr, attr.length),
  );
  return [...ids.subarray(0, programQuery.get(attr, "progCnt"))];
}

/** BPF_PROG_GET_FD_BY_ID. @returns a descriptor, close-on-exec */
export function programFromId(id: number): number {
  const attr = programById.alloc();
  programById.set(attr, "progId", id);
  return check(
    "bpf",
    () => ({ name: "BPF_PROG_GET_FD_BY_ID", id }),
    libc.bpf(SYS.bpf, BPF_PROG_GET_FD_BY_ID, attr, attr.length),
  );
}
