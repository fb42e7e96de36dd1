/** Conditions on arguments in BPF: 64-bit values are compared by halves, the high one first. */
import {
  type Assembler,
  BPF_JMP_JEQ_K,
  BPF_JMP_JGE_K,
  BPF_JMP_JGT_K,
  BPF_JMP_JSET_K,
  dataArgument,
  type Target,
} from "./bpf.ts";
import type { Condition, Rule } from "./rules.ts";

/** Where the code of something starts, and which word it loads first, if it does. */
interface Entry {
  readonly start: Target;
  readonly loads?: number;
}

/** Where to jump when the word at `offset` is loaded already. */
function entering({ start, loads }: Entry, offset: number): Target {
  return loads === offset ? (start as number) - 1 : start;
}

/** Loads the word at `offset` and goes on to `target`. */
function loading(assembler: Assembler, offset: number, target: Target): Entry {
  assembler.next(target);
  return { start: assembler.load(offset), loads: offset };
}

/** Goes to `yes` if the loaded word masked is `value`, else to `no`. The word is lost with a general mask. */
function maskedWord(
  assembler: Assembler,
  mask: number,
  value: number,
  yes: Target,
  no: Target,
): Target {
  if (mask === 0xffffffff) return assembler.branch(BPF_JMP_JEQ_K, value, yes, no);
  if (value === 0) return assembler.branch(BPF_JMP_JSET_K, mask, no, yes);
  // A single bit that is to be set
  if (value === mask && (mask & (mask - 1)) === 0)
    return assembler.branch(BPF_JMP_JSET_K, mask, yes, no);
  assembler.next(assembler.branch(BPF_JMP_JEQ_K, value, yes, no));
  return assembler.and(mask);
}

/** Whether the loaded word is still there after {@link maskedWord}. */
const keepsWord = (mask: number, value: number): boolean =>
  mask === 0xffffffff || value === 0 || (value === mask && (mask & (mask - 1)) === 0);

/** Goes to `equal` if the argument, masked, has these halves, else to `other`. */
function testEqual(
  assembler: Assembler,
  { index, high, low, maskHigh, maskLow }: Condition,
  equal: Entry,
  other: Entry,
): Entry {
  const [lowAt, highAt] = [dataArgument(index), dataArgument(index) + 4];
  const leave = (entry: Entry, at: number, mask: number, value: number) =>
    keepsWord(mask, value) ? entering(entry, at) : entry.start;
  const half = (at: number, mask: number, value: number, yes: Target): Entry => {
    const no = leave(other, at, mask, value);
    const test = maskedWord(assembler, mask, value, yes, no);
    return loading(assembler, at, test);
  };
  if (maskLow === 0) return half(highAt, maskHigh, high, leave(equal, highAt, maskHigh, high));
  const lowTest = half(lowAt, maskLow, low, leave(equal, lowAt, maskLow, low));
  return maskHigh === 0 ? lowTest : half(highAt, maskHigh, high, lowTest.start);
}

/** Goes to `above` if the argument is greater (or, with `orEqual`, the same), else to `below`. */
function testGreater(
  assembler: Assembler,
  { index, high, low }: Condition,
  width: 32 | 64,
  orEqual: boolean,
  above: Entry,
  below: Entry,
): Entry {
  const [lowAt, highAt] = [dataArgument(index), dataArgument(index) + 4];
  const code = orEqual ? BPF_JMP_JGE_K : BPF_JMP_JGT_K;
  const lowTest = loading(
    assembler,
    lowAt,
    assembler.branch(code, low, entering(above, lowAt), entering(below, lowAt)),
  );
  if (width === 32) return lowTest;
  const yes = entering(above, highAt);
  const no = entering(below, highAt);
  // No high half is below 0.
  const unequal = high === 0 ? yes : assembler.branch(BPF_JMP_JGT_K, high, yes, no);
  return loading(assembler, highAt, assembler.branch(BPF_JMP_JEQ_K, high, lowTest.start, unequal));
}

function testCondition(
  assembler: Assembler,
  condition: Condition,
  width: 32 | 64,
  yes: Entry,
  no: Entry,
): Entry {
  switch (condition.op) {
    case "SCMP_CMP_EQ":
    case "SCMP_CMP_MASKED_EQ":
      return testEqual(assembler, condition, yes, no);
    case "SCMP_CMP_NE":
      return testEqual(assembler, condition, no, yes);
    case "SCMP_CMP_GT":
    case "SCMP_CMP_GE":
      return testGreater(assembler, condition, width, condition.op === "SCMP_CMP_GE", yes, no);
    default:
      return testGreater(assembler, condition, width, condition.op === "SCMP_CMP_LT", no, yes);
  }
}

/**
 * Puts the code of rules of which the first that matches counts.
 * @param unless where to go when none matches
 */
export function testRules(
  assembler: Assembler,
  rules: readonly Rule[],
  width: 32 | 64,
  returning: (value: number) => Target,
  unless: Target,
): Target {
  let next: Entry = { start: unless };
  for (const { conditions, value } of rules.toReversed()) {
    let entry: Entry = { start: returning(value) };
    for (const condition of conditions.toReversed())
      entry = testCondition(assembler, condition, width, entry, next);
    next = entry;
  }
  return next.start;
}
