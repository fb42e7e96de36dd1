/**
 * What a profile says of each system call of one architecture, in the order in which it counts.
 *
 * As libseccomp has it: conditions of a rule all hold; a rule without conditions stands alone, and
 * the first of these wins; among rules with conditions the first that matches counts, in an order
 * that does not depend on how they were written: by argument from the last, then equality before
 * "less" before "greater", then by value, the narrower first.
 */
import { MydockerError } from "../errors.ts";
import type { FilterArch } from "./architectures.ts";
import { type Argument, type Operator, returnValue, type Seccomp } from "./profile.ts";

/** A condition with its 64-bit values in 32-bit halves, as BPF compares them. On 32 bits the high halves are 0. */
export interface Condition {
  readonly index: number;
  readonly op: Operator;
  readonly high: number;
  readonly low: number;
  readonly maskHigh: number;
  readonly maskLow: number;
}

/** A return value, if all conditions hold. */
export interface Rule {
  readonly conditions: readonly Condition[];
  readonly value: number;
}

/** What happens to a call: a return value, or rules of which the first that matches counts. */
export type Decision = number | readonly Rule[];

/** What happens to the calls of one architecture. */
export interface SyscallDecisions {
  /** By number, without the architecture's bit; undefined for what the profile does not name. */
  readonly near: readonly (Decision | undefined)[];
  /** Likewise, numbers from {@link FAR} on. */
  readonly far: ReadonlyMap<number, Decision>;
  /** The highest number that the profile knows; 0 if it knows none. */
  readonly last: number;
}

/** ARM has a few calls of its own at 0xf0001; all others have small numbers. */
export const FAR = 1024;

/** JavaScript's bit operations are signed. */
const low32 = (value: bigint): number => Number(value & 0xffffffffn);
const high32 = (value: bigint): number => Number((value >> 32n) & 0xffffffffn);

function condition(argument: Argument, width: 32 | 64): Condition {
  const { index, op } = argument;
  const isMasked = op === "SCMP_CMP_MASKED_EQ";
  const wide = width === 64;
  const mask = isMasked ? BigInt(argument.value) : 0xffffffffffffffffn;
  const value = BigInt(isMasked ? (argument.valueTwo ?? 0) : argument.value) & mask;
  return {
    index,
    op,
    high: wide ? high32(value) : 0,
    low: low32(value),
    maskHigh: wide ? high32(mask) : 0,
    maskLow: low32(mask),
  };
}

/** Whether it holds for every value. */
const isEmpty = ({ op, maskHigh, maskLow }: Condition): boolean =>
  op === "SCMP_CMP_MASKED_EQ" && maskHigh === 0 && maskLow === 0;

/** The conditions of a rule, one list for each rule that libseccomp is given. */
function conditionLists(args: readonly Argument[], width: 32 | 64): Condition[][] {
  if (args.length === 0) return [[]];
  const conditions = args.map((argument) => condition(argument, width));
  const indexes = new Set(args.map(({ index }) => index));
  // Two conditions on one argument never went into one rule of libseccomp's: runtimes make a rule of
  // each, so that one of them is enough.
  const lists = indexes.size < args.length ? conditions.map((each) => [each]) : [conditions];
  return lists.map((list) =>
    list.filter((each) => !isEmpty(each)).sort((a, b) => a.index - b.index),
  );
}

/** Decisions while they are made. */
class Decisions implements SyscallDecisions {
  readonly near: (Decision | undefined)[] = new Array(FAR).fill(undefined);
  readonly far = new Map<number, Decision>();
  last = 0;

  private get(number: number): Decision | undefined {
    return number < FAR ? this.near[number] : this.far.get(number);
  }

  set(number: number, decision: Decision): void {
    if (number < FAR) this.near[number] = decision;
    else this.far.set(number, decision);
  }

  /** A rule without conditions. */
  addPlain(number: number, value: number): void {
    if (typeof this.get(number) !== "number") this.set(number, value);
  }

  addRule(number: number, rule: Rule): void {
    const before = this.get(number);
    if (typeof before === "number") return;
    if (rule.conditions.length === 0) this.set(number, rule.value);
    else this.set(number, before === undefined ? [rule] : [...before, rule]);
  }
}

/** Collects the rules of a profile for one architecture. @throws MydockerError for rules that contradict each other */
export function collectRules(profile: Seccomp, arch: FilterArch): SyscallDecisions {
  const { width } = arch;
  const numbers = arch.syscalls();
  const multiplexed = arch.multiplexed?.();
  const unless = returnValue(profile.defaultAction, profile.defaultErrnoRet);
  const decisions = new Decisions();
  /** Numbers with conditions, and their names for errors. */
  const conditional = new Map<number, string>();

  for (const { names, action, errnoRet, args = [] } of profile.syscalls ?? []) {
    const value = returnValue(action, errnoRet);
    // What a rule says is what happens anyway: libseccomp takes no such rule, and runtimes skip it.
    const isRedundant = value === unless;
    const isPlain = args.length === 0;
    const lists = conditionLists(args, width);
    for (const name of names) {
      const number = numbers.get(name);
      const through = multiplexed?.get(name);
      const by = through === undefined ? undefined : numbers.get(through.by);
      decisions.last = Math.max(decisions.last, number ?? 0, by ?? 0);
      if (number !== undefined) {
        if (isRedundant) continue;
        if (isPlain) decisions.addPlain(number, value);
        else {
          conditional.set(number, name);
          for (const conditions of lists) decisions.addRule(number, { conditions, value });
        }
      }
      if (through === undefined || by === undefined || isRedundant) continue;
      // The arguments themselves are in memory, where no filter sees them; the first is the call.
      const call = condition({ index: 0, value: through.call, op: "SCMP_CMP_EQ" }, width);
      conditional.set(by, through.by);
      for (const list of lists) {
        const conditions = [call, ...list.filter(({ index }) => index !== 0)];
        decisions.addRule(by, { conditions, value });
      }
    }
  }
  for (const [number, name] of conditional) {
    const rules = number < FAR ? decisions.near[number] : decisions.far.get(number);
    if (typeof rules === "object" && rules.length > 1)
      decisions.set(number, orderRules(rules, name));
  }
  return decisions;
}

/** One comparison of 32 bits in libseccomp's tree; those of "less" and "greater" count as one for the high half. */
interface Step {
  readonly part: number;
  /** Which comparison is made: negations are the other branch of the same. */
  readonly test: string;
  /** Equality 3, less 2, greater 1. */
  readonly rank: number;
  readonly datum: number;
  readonly mask: number;
}

const TESTS: Readonly<Record<Operator, { rank: number; highTest: string; lowTest: string }>> = {
  SCMP_CMP_MASKED_EQ: { rank: 3, highTest: "masked", lowTest: "masked" },
  SCMP_CMP_EQ: { rank: 3, highTest: "=", lowTest: "=" },
  SCMP_CMP_NE: { rank: 3, highTest: "=", lowTest: "=" },
  SCMP_CMP_LE: { rank: 2, highTest: ">", lowTest: ">" },
  SCMP_CMP_LT: { rank: 2, highTest: ">", lowTest: ">=" },
  SCMP_CMP_GE: { rank: 1, highTest: ">", lowTest: ">=" },
  SCMP_CMP_GT: { rank: 1, highTest: ">", lowTest: ">" },
};

interface Path {
  readonly rule: Rule;
  readonly steps: readonly Step[];
}

function pathOf(rule: Rule): Path {
  const steps = rule.conditions.flatMap(({ index, op, high, low, maskHigh, maskLow }) => {
    const { rank, highTest, lowTest } = TESTS[op];
    return [
      { part: 2 * index + 1, test: highTest, rank, datum: high, mask: maskHigh },
      { part: 2 * index, test: lowTest, rank, datum: low, mask: maskLow },
    ];
  });
  return { rule, steps };
}

const isSame = (a: Step, b: Step): boolean =>
  a.part === b.part && a.test === b.test && a.datum === b.datum && a.mask === b.mask;

/** Whether `b` comes before `a`. */
function isLater(a: Step, b: Step): boolean {
  if (a.part !== b.part) return a.part < b.part;
  if (a.rank !== b.rank) return a.rank < b.rank;
  return a.rank === 2 ? a.datum > b.datum : a.datum < b.datum;
}

const isSameRule = (a: Rule, b: Rule): boolean =>
  JSON.stringify(a.conditions) === JSON.stringify(b.conditions);

/** Whether all conditions of `short` are the first ones of `long`. */
const isPrefix = (short: Rule, long: Rule): boolean =>
  short.conditions.length < long.conditions.length &&
  isSameRule(short, { ...long, conditions: long.conditions.slice(0, short.conditions.length) });

/** Leaves out what an earlier or a wider rule says already. */
function withoutRedundant(rules: readonly Rule[], name: string): Rule[] {
  const kept: Rule[] = [];
  for (const rule of rules) {
    if (kept.some((each) => isPrefix(each, rule))) continue;
    const clash = kept.some(
      (each) => each.value !== rule.value && (isSameRule(each, rule) || isPrefix(rule, each)),
    );
    if (clash)
      throw new MydockerError(
        `seccomp profile: rules for ${name} with the same conditions have different actions`,
      );
    const rest = kept.filter((each) => !isSameRule(each, rule) && !isPrefix(rule, each));
    kept.splice(0, kept.length, ...rest, rule);
  }
  return kept;
}

/** Sorts paths from their comparison number `depth` on; those that share it stay together. */
function orderPaths(paths: readonly Path[], depth: number): Path[] {
  const groups: { step: Step; paths: Path[] }[] = [];
  const ended: Path[] = [];
  for (const path of paths) {
    const step = path.steps[depth];
    if (step === undefined) {
      ended.push(path);
      continue;
    }
    const at = groups.findIndex((group) => isSame(group.step, step) || isLater(group.step, step));
    const group = groups[at];
    if (group !== undefined && isSame(group.step, step)) group.paths.push(path);
    else groups.splice(at < 0 ? groups.length : at, 0, { step, paths: [path] });
  }
  const sorted = groups.flatMap((group) =>
    group.paths.length === 1 ? group.paths : orderPaths(group.paths, depth + 1),
  );
  return [...sorted, ...ended];
}

function orderRules(rules: readonly Rule[], name: string): readonly Rule[] {
  const kept = withoutRedundant(rules, name);
  return orderPaths(kept.map(pathOf), 0).map(({ rule }) => rule);
}
