/** linux.seccomp of the OCI runtime specification 1.3 (config-linux.md, "Seccomp"), and Docker's form of it. */

/** A 64-bit value. Numbers are exact up to 2^53; {@link parseProfileText} makes bigints of larger ones. */
export type Value = number | bigint;

/** SECCOMP_RET_* (linux/seccomp.h) by the names of the specification. */
export const ACTIONS = {
  SCMP_ACT_KILL_PROCESS: 0x80000000,
  SCMP_ACT_KILL_THREAD: 0x00000000,
  SCMP_ACT_KILL: 0x00000000,
  SCMP_ACT_TRAP: 0x00030000,
  SCMP_ACT_ERRNO: 0x00050000,
  SCMP_ACT_NOTIFY: 0x7fc00000,
  SCMP_ACT_TRACE: 0x7ff00000,
  SCMP_ACT_LOG: 0x7ffc0000,
  SCMP_ACT_ALLOW: 0x7fff0000,
} as const;
/** What happens to a call. */
export type Action = keyof typeof ACTIONS;

/** How an argument is compared with `value`; for MASKED_EQ `value` is the mask, and `valueTwo` the result. */
export const OPERATORS = [
  "SCMP_CMP_NE",
  "SCMP_CMP_LT",
  "SCMP_CMP_LE",
  "SCMP_CMP_EQ",
  "SCMP_CMP_GE",
  "SCMP_CMP_GT",
  "SCMP_CMP_MASKED_EQ",
] as const;
/** One of {@link OPERATORS}. */
export type Operator = (typeof OPERATORS)[number];

/** SECCOMP_FILTER_FLAG_* (linux/seccomp.h), by the same names as in the specification. */
export const FLAGS = {
  SECCOMP_FILTER_FLAG_TSYNC: 1,
  SECCOMP_FILTER_FLAG_LOG: 2,
  SECCOMP_FILTER_FLAG_SPEC_ALLOW: 4,
  SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV: 32,
} as const;
/** A flag that a profile may ask for. */
export type Flag = keyof typeof FLAGS;

/** Every architecture that the specification names. */
export const ARCHITECTURES = [
  "SCMP_ARCH_X86",
  "SCMP_ARCH_X86_64",
  "SCMP_ARCH_X32",
  "SCMP_ARCH_ARM",
  "SCMP_ARCH_AARCH64",
  "SCMP_ARCH_MIPS",
  "SCMP_ARCH_MIPS64",
  "SCMP_ARCH_MIPS64N32",
  "SCMP_ARCH_MIPSEL",
  "SCMP_ARCH_MIPSEL64",
  "SCMP_ARCH_MIPSEL64N32",
  "SCMP_ARCH_PPC",
  "SCMP_ARCH_PPC64",
  "SCMP_ARCH_PPC64LE",
  "SCMP_ARCH_S390",
  "SCMP_ARCH_S390X",
  "SCMP_ARCH_PARISC",
  "SCMP_ARCH_PARISC64",
  "SCMP_ARCH_RISCV64",
  "SCMP_ARCH_LOONGARCH64",
  "SCMP_ARCH_M68K",
  "SCMP_ARCH_SH",
  "SCMP_ARCH_SHEB",
] as const;
/** One of {@link ARCHITECTURES}. */
export type Architecture = (typeof ARCHITECTURES)[number];

/** syscalls[].args[]: a condition on argument number `index`. */
export interface Argument {
  readonly index: number;
  readonly value: Value;
  readonly valueTwo?: Value;
  readonly op: Operator;
}

/** syscalls[]: an action for some calls, when all conditions hold. */
export interface SyscallRule {
  readonly names: readonly string[];
  readonly action: Action;
  readonly errnoRet?: number;
  readonly args?: readonly Argument[];
}

/** linux.seccomp. */
export interface Seccomp {
  readonly defaultAction: Action;
  readonly defaultErrnoRet?: number;
  readonly architectures?: readonly Architecture[];
  /** Left out, it is SPEC_ALLOW where the kernel has it, as runc does it. */
  readonly flags?: readonly Flag[];
  readonly listenerPath?: string;
  readonly listenerMetadata?: string;
  readonly syscalls?: readonly SyscallRule[];
}

/** When a rule of Docker's form counts. All that is given must hold; of excludes, nothing may. */
export interface RuleFilter {
  readonly caps?: readonly string[];
  /** In Go's spelling: amd64, arm64, … */
  readonly arches?: readonly string[];
  /** "4.8" */
  readonly minKernel?: string;
}

/** A rule of Docker's form. */
export interface ConditionalRule extends SyscallRule {
  readonly includes?: RuleFilter;
  readonly excludes?: RuleFilter;
}

/** Docker's form: rules for some machines and capabilities only, and architectures by the machine's own. */
export interface DockerProfile extends Omit<Seccomp, "syscalls"> {
  readonly archMap?: readonly {
    readonly architecture: Architecture;
    readonly subArchitectures: readonly Architecture[];
  }[];
  readonly syscalls: readonly ConditionalRule[];
}

/**
 * The number that a filter returns for an action (seccomp(2)).
 * @param errnoRet for ERRNO and TRACE; EPERM when it is left out
 */
export function returnValue(action: Action, errnoRet?: number): number {
  const takesErrno = action === "SCMP_ACT_ERRNO" || action === "SCMP_ACT_TRACE";
  return takesErrno ? (ACTIONS[action] | (errnoRet ?? 1)) >>> 0 : ACTIONS[action];
}
