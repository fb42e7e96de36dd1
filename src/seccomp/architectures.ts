/** What a filter has to know of each architecture: the kernel's number for it, its calls, the width of arguments. */
import type { Architecture } from "./profile.ts";
import { ARM_SYSCALLS } from "./syscalls_arm.ts";
import { ARM64_SYSCALLS } from "./syscalls_arm64.ts";
import { I386_SYSCALLS } from "./syscalls_i386.ts";
import { X32_ABSENT, X32_SYSCALL_BIT, X32_SYSCALLS } from "./syscalls_x32.ts";
import { X86_64_SYSCALLS } from "./syscalls_x86_64.ts";

// linux/audit.h
export const AUDIT_ARCH_I386 = 0x40000003;
export const AUDIT_ARCH_X86_64 = 0xc000003e;
export const AUDIT_ARCH_ARM = 0x40000028;
export const AUDIT_ARCH_AARCH64 = 0xc00000b7;

/** Numbers of system calls by name. */
export type SyscallTable = ReadonlyMap<string, number>;

/** One architecture as a filter sees it. */
export interface FilterArch {
  /** seccomp_data.arch */
  readonly audit: number;
  /** Set in the number of each of its calls. */
  readonly bit: number;
  /**
   * How many bits of an argument count. x32 shares x86-64's registers, and libseccomp still counts 32.
   */
  readonly width: 32 | 64;
  /** Made when it is first asked for. */
  readonly syscalls: () => SyscallTable;
  /** Calls that may also come through socketcall(2) or ipc(2), with the number that these take first. */
  readonly multiplexed?: () => ReadonlyMap<string, { readonly by: string; readonly call: number }>;
}

/** Reads a table. */
function parseTable(
  text: Readonly<Record<number, string>>,
  table = new Map<string, number>(),
): Map<string, number> {
  for (const first in text) {
    let number = Number(first);
    for (const name of (text[first] as string).split(" ")) table.set(name, number++);
  }
  return table;
}

function once<T>(make: () => T): () => T {
  let made: T | undefined;
  return () => {
    made ??= make();
    return made;
  };
}

const x86Table = once(() => parseTable(X86_64_SYSCALLS));

function x32Table(): SyscallTable {
  const table = new Map(x86Table());
  for (const name of X32_ABSENT.split(" ")) table.delete(name);
  return parseTable(X32_SYSCALLS, table);
}

// linux/net.h, SYS_*
const SOCKET_CALLS = {
  1: `\
socket bind connect listen accept getsockname getpeername socketpair send recv sendto recvfrom \
shutdown setsockopt getsockopt sendmsg recvmsg accept4 recvmmsg sendmmsg`,
};
// linux/ipc.h
const IPC_CALLS = {
  1: "semop semget semctl semtimedop",
  11: "msgsnd msgrcv msgget msgctl",
  21: "shmat shmdt shmget shmctl",
};

function multiplexed(): Map<string, { by: string; call: number }> {
  const calls = new Map<string, { by: string; call: number }>();
  for (const [name, call] of parseTable(SOCKET_CALLS)) calls.set(name, { by: "socketcall", call });
  for (const [name, call] of parseTable(IPC_CALLS)) calls.set(name, { by: "ipc", call });
  return calls;
}

const x86_64: FilterArch = { audit: AUDIT_ARCH_X86_64, bit: 0, width: 64, syscalls: x86Table };
const x32: FilterArch = {
  audit: AUDIT_ARCH_X86_64,
  bit: X32_SYSCALL_BIT,
  width: 32,
  syscalls: once(x32Table),
};
const i386: FilterArch = {
  audit: AUDIT_ARCH_I386,
  bit: 0,
  width: 32,
  syscalls: once(() => parseTable(I386_SYSCALLS)),
  multiplexed: once(multiplexed),
};
const arm64: FilterArch = {
  audit: AUDIT_ARCH_AARCH64,
  bit: 0,
  width: 64,
  syscalls: once(() => parseTable(ARM64_SYSCALLS)),
};
const arm: FilterArch = {
  audit: AUDIT_ARCH_ARM,
  bit: 0,
  width: 32,
  syscalls: once(() => parseTable(ARM_SYSCALLS)),
};

/** The architectures that a kernel runs, its own first. */
export type Family = ReadonlyMap<Architecture, FilterArch>;

/** By the machine's architecture. Others in a profile never reach a filter there. */
export const FAMILIES: Readonly<Record<"x64" | "arm64", Family>> = {
  x64: new Map([
    ["SCMP_ARCH_X86_64", x86_64],
    ["SCMP_ARCH_X86", i386],
    ["SCMP_ARCH_X32", x32],
  ]),
  arm64: new Map([
    ["SCMP_ARCH_AARCH64", arm64],
    ["SCMP_ARCH_ARM", arm],
  ]),
};
