/**
 * Device rules as a program of BPF_PROG_TYPE_CGROUP_DEVICE (linux/bpf.h, struct bpf_cgroup_dev_ctx),
 * which the kernel asks at every mknod(2) and open(2) of a device. Pure.
 */
import { EVERY_ACCESS, type PlainRule } from "../device_rules.ts";

/** struct bpf_insn. */
export interface Instruction {
  readonly code: number;
  readonly dst: number;
  readonly src: number;
  /** in instructions, from the next one */
  readonly offset: number;
  readonly immediate: number;
}

/** Operations that the programs use: class, size or operation, and source, of linux/bpf_common.h. */
export const OP = {
  LDX_MEM_W: 0x61,
  MOV32_K: 0xb4,
  MOV32_X: 0xbc,
  AND32_K: 0x54,
  RSH32_K: 0x74,
  JEQ_K: 0x15,
  JNE_K: 0x55,
  EXIT: 0x95,
} as const;

/** What the registers hold from the third instruction on; r0 is the answer, and before that free. */
const CONTEXT = 1;
const TYPE = 2;
/** access asked for and not yet granted */
const ASKED = 3;
const MAJOR = 4;
const MINOR = 5;

/** BPF_DEVCG_DEV_*. */
const DEVICE_TYPES = { b: 1, c: 2 } as const;

/** The largest numbers that a dev_t of the kernel's has (linux/kdev_t.h). */
const LARGEST = { major: 0xfff, minor: 0xfffff } as const;

const operation = (code: number, dst = 0, immediate = 0, src = 0, offset = 0): Instruction => ({
  code,
  dst,
  src,
  offset,
  immediate,
});

/** access_type has the type in its low half and the access in its high one. */
const PROLOGUE: readonly Instruction[] = [
  operation(OP.LDX_MEM_W, TYPE, 0, CONTEXT, 0),
  operation(OP.MOV32_X, ASKED, 0, TYPE),
  operation(OP.AND32_K, TYPE, 0xffff),
  operation(OP.RSH32_K, ASKED, 16),
  operation(OP.LDX_MEM_W, MAJOR, 0, CONTEXT, 4),
  operation(OP.LDX_MEM_W, MINOR, 0, CONTEXT, 8),
];

const answer = (allow: boolean): Instruction[] => [
  operation(OP.MOV32_K, 0, allow ? 1 : 0),
  operation(OP.EXIT),
];

/**
 * The last rule that matches decides, so the program asks from the last to the first: a rule that
 * allows takes what it allows from what is asked for, until nothing is left; one that denies any of
 * the rest is the end. What no rule speaks of is allowed, as in a cgroup without a program.
 */
export function deviceProgram(rules: readonly PlainRule[]): Instruction[] {
  const program = [...PROLOGUE];
  for (const rule of rules.toReversed()) {
    // The verifier refuses what can never be reached, so nothing may follow a rule for everything.
    if (rule.type === "a") return [...program, ...answer(rule.allow)];
    if (isPossible(rule)) program.push(...ruleCode(rule));
  }
  return [...program, ...answer(true)];
}

const isPossible = ({ major = 0, minor = 0 }: PlainRule): boolean =>
  major <= LARGEST.major && minor <= LARGEST.minor;

function ruleCode({ allow, type, major, minor, access }: PlainRule): Instruction[] {
  const code: Instruction[] = [];
  const conditions: number[] = [];
  const unless = (register: number, op: number, value: number) => {
    conditions.push(code.length);
    code.push(operation(op, register, value));
  };
  if (type !== "a") unless(TYPE, OP.JNE_K, DEVICE_TYPES[type]);
  if (major !== undefined) unless(MAJOR, OP.JNE_K, major);
  if (minor !== undefined) unless(MINOR, OP.JNE_K, minor);
  if (access !== EVERY_ACCESS && allow) {
    code.push(operation(OP.AND32_K, ASKED, EVERY_ACCESS & ~access));
    unless(ASKED, OP.JNE_K, 0);
  } else if (access !== EVERY_ACCESS) {
    code.push(operation(OP.MOV32_X, 0, 0, ASKED), operation(OP.AND32_K, 0, access));
    unless(0, OP.JEQ_K, 0);
  }
  code.push(...answer(allow));
  // Each condition that does not hold jumps to the next rule.
  for (const at of conditions) {
    const jump = code[at] as Instruction;
    code[at] = { ...jump, offset: code.length - at - 1 };
  }
  return code;
}

/** An array of struct bpf_insn. */
export function encodeProgram(program: readonly Instruction[]): Uint8Array {
  const bytes = new Uint8Array(program.length * 8);
  const view = new DataView(bytes.buffer);
  program.forEach(({ code, dst, src, offset, immediate }, index) => {
    const at = index * 8;
    view.setUint8(at, code);
    view.setUint8(at + 1, dst | (src << 4));
    view.setInt16(at + 2, offset, true);
    view.setInt32(at + 4, immediate, true);
  });
  return bytes;
}
