/** Seccomp profiles for tests, and what they say read one rule after the other. */

import { FAMILIES, type FilterArch } from "../../src/seccomp/architectures.ts";
import {
  type Action,
  type Argument,
  OPERATORS,
  returnValue,
  type Seccomp,
  type SyscallRule,
} from "../../src/seccomp/profile.ts";
import type { Call } from "./bpf_interpreter.ts";

/** Numbers that look random and are the same in each run (xorshift32). */
export class Random {
  constructor(private state: number) {}

  /** An integer from 0 up to, but not including, `end`. */
  below(end: number): number {
    this.state ^= this.state << 13;
    this.state ^= this.state >>> 17;
    this.state ^= this.state << 5;
    return (this.state >>> 0) % end;
  }

  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)] as T;
  }
}

/** Where comparisons by halves go wrong, if they do. */
export const EDGES: readonly bigint[] = [
  0n,
  1n,
  2n,
  7n,
  8n,
  0x7fffffffn,
  0x80000000n,
  0xfffffffen,
  0xffffffffn,
  0x1_0000_0000n,
  0x1_0000_0001n,
  0x1_0000_0007n,
  0x7_ffff_ffffn,
  0x8_0000_0007n,
  0x7fff_ffff_ffff_ffffn,
  0x8000_0000_0000_0000n,
  0xffff_ffff_0000_0000n,
  0xffff_ffff_ffff_fffen,
  0xffff_ffff_ffff_ffffn,
];

/** Calls for random profiles: names that some architectures lack, have under other numbers, or reach in two ways. */
export const NAMES: readonly string[] =
  "read write clone socket personality getppid ioctl accept recv semop shmat chown32 ptrace execve set_tls waitpid mseal openat no_such_call".split(
    " ",
  );

const ACTIONS: readonly Action[] = [
  "SCMP_ACT_ALLOW",
  "SCMP_ACT_ERRNO",
  "SCMP_ACT_KILL_PROCESS",
  "SCMP_ACT_KILL_THREAD",
  "SCMP_ACT_TRAP",
  "SCMP_ACT_TRACE",
  "SCMP_ACT_LOG",
  "SCMP_ACT_NOTIFY",
];

/** A random condition, its index apart. */
export function randomArgument(random: Random, index: number): Argument {
  return {
    index,
    value: random.pick(EDGES),
    valueTwo: random.pick(EDGES),
    op: random.pick(OPERATORS),
  };
}

/** A random profile in which all rules have one action, so that their order makes no difference. */
export function randomProfile(
  random: Random,
  rules: number,
  calls: readonly string[] = NAMES,
): Seccomp {
  const defaultAction = random.pick(ACTIONS.filter((each) => each !== "SCMP_ACT_NOTIFY"));
  const action = random.pick(ACTIONS);
  const syscalls: SyscallRule[] = Array.from({ length: rules }, () => {
    const indexes = [0, 1, 2, 3, 4, 5].filter(() => random.below(4) === 0);
    const twice = random.below(8) === 0 ? indexes.slice(0, 1) : [];
    return {
      names: [random.pick(calls), random.pick(calls)],
      action,
      ...(action === "SCMP_ACT_ERRNO" ? { errnoRet: 99 } : {}),
      args: [...indexes, ...twice].map((index) => randomArgument(random, index)),
    };
  });
  return { defaultAction, syscalls };
}

/** Where calls of a name come from: its own number, and one of a call that leads to it. */
export function callsOf(name: string, arch: FilterArch): { nr: number; first?: bigint }[] {
  const number = arch.syscalls().get(name);
  const through = arch.multiplexed?.().get(name);
  return [
    ...(number === undefined ? [] : [{ nr: number | arch.bit }]),
    ...(through === undefined
      ? []
      : [{ nr: arch.syscalls().get(through.by) as number, first: BigInt(through.call) }]),
  ];
}

function holds({ index, op, value, valueTwo = 0 }: Argument, call: Call, width: 32 | 64): boolean {
  const cut = (number: bigint) => BigInt.asUintN(width, number);
  const actual = cut(call.args[index] ?? 0n);
  const wanted = cut(BigInt(value));
  switch (op) {
    case "SCMP_CMP_NE":
      return actual !== wanted;
    case "SCMP_CMP_LT":
      return actual < wanted;
    case "SCMP_CMP_LE":
      return actual <= wanted;
    case "SCMP_CMP_EQ":
      return actual === wanted;
    case "SCMP_CMP_GE":
      return actual >= wanted;
    case "SCMP_CMP_GT":
      return actual > wanted;
    case "SCMP_CMP_MASKED_EQ":
      return (actual & wanted) === (cut(BigInt(valueTwo)) & wanted);
  }
}

function ruleMatches(rule: SyscallRule, call: Call, arch: FilterArch): boolean {
  const args = rule.args ?? [];
  const isTwice = new Set(args.map(({ index }) => index)).size < args.length;
  return rule.names.some((name) =>
    callsOf(name, arch).some(({ nr, first }) => {
      if (nr !== call.nr) return false;
      if (first !== undefined && BigInt.asUintN(32, call.args[0] ?? 0n) !== first) return false;
      const tests = args.map(
        (argument) =>
          (first !== undefined && argument.index === 0) || holds(argument, call, arch.width),
      );
      return isTwice ? tests.some(Boolean) : tests.every(Boolean);
    }),
  );
}

/** The architecture that a call is of; undefined if the filter is for none such. */
export function archOf(
  profile: Seccomp,
  call: Call,
  machine: "x64" | "arm64",
): FilterArch | undefined {
  const family = [...FAMILIES[machine]];
  const found = family.find(
    ([, arch]) => arch.audit === call.arch && (call.nr & 0x40000000) === arch.bit,
  );
  const isOwn = found !== undefined && found === family[0];
  return found !== undefined && (isOwn || profile.architectures?.includes(found[0]))
    ? found[1]
    : undefined;
}

/** What a profile without actions that clash says of a call, without regard to newer calls. */
export function evaluate(profile: Seccomp, call: Call, machine: "x64" | "arm64"): number {
  const arch = archOf(profile, call, machine);
  if (arch === undefined) return 0;
  const rule = profile.syscalls?.find((each) => ruleMatches(each, call, arch));
  return rule === undefined
    ? returnValue(profile.defaultAction, profile.defaultErrnoRet)
    : returnValue(rule.action, rule.errnoRet);
}
