/**
 * Classic BPF, written from the end: a jump only goes forward, so that its target is always there
 * already, and its distance known.
 *
 * linux/filter.h, linux/bpf_common.h, linux/seccomp.h
 */
import { MydockerError } from "../errors.ts";

export const BPF_LD_W_ABS = 0x20;
export const BPF_JMP_JA = 0x05;
export const BPF_JMP_JEQ_K = 0x15;
export const BPF_JMP_JGT_K = 0x25;
export const BPF_JMP_JGE_K = 0x35;
export const BPF_JMP_JSET_K = 0x45;
export const BPF_ALU_AND_K = 0x54;
export const BPF_RET_K = 0x06;
export const BPF_MAXINSNS = 4096;
/** sizeof(struct sock_filter): __u16 code, __u8 jt, __u8 jf, __u32 k */
export const SOCK_FILTER_SIZE = 8;

/** offsetof(struct seccomp_data, …) */
export const DATA_NR = 0;
export const DATA_ARCH = 4;
/** The low word of an argument; the high one is 4 behind, since both machines are little-endian. */
export const dataArgument = (index: number): number => 16 + 8 * index;

/** Conditional jumps only have a byte. */
const REACH = 255;

/** A place in the program: how many instructions come after the one there. */
export type Label = number;

/** A return of a value: the assembler puts one where it is needed, and shares it where it can. */
export class Return {
  /** Where the nearest one is. */
  at: Label = -1;
  constructor(readonly value: number) {}
}

/** What a jump goes to. */
export type Target = Label | Return;

/** Collects instructions from the last one to the first. */
export class Assembler {
  /** Two words for each instruction. Both machines are little-endian, as the kernel's struct is then. */
  private readonly words = new Uint32Array(2 * BPF_MAXINSNS);
  /** How many instructions there are. */
  private size = 0;

  private put(code: number, jt: number, jf: number, k: number): Label {
    if (this.size === BPF_MAXINSNS)
      throw new MydockerError(
        `seccomp profile: it needs more than the ${BPF_MAXINSNS} instructions that the kernel takes`,
      );
    const at = 2 * (BPF_MAXINSNS - 1 - this.size);
    this.words[at] = code | (jt << 16) | (jf << 24);
    this.words[at + 1] = k;
    return this.size++;
  }

  /** How many instructions an instruction put now would have to skip. */
  private distance(label: Label): number {
    return this.size - 1 - label;
  }

  /** A label that is at most `reach` away. */
  private near(target: Target, reach: number): Label {
    if (typeof target === "number") {
      const distance = this.distance(target);
      return distance <= reach ? target : this.put(BPF_JMP_JA, 0, 0, distance);
    }
    if (target.at < 0 || this.distance(target.at) > reach)
      target.at = this.put(BPF_RET_K, 0, 0, target.value);
    return target.at;
  }

  /** Loads a word of seccomp_data, and goes on to the instruction put before this one. */
  load(offset: number): Label {
    return this.put(BPF_LD_W_ABS, 0, 0, offset);
  }

  /** Masks the word, and goes on likewise. */
  and(mask: number): Label {
    return this.put(BPF_ALU_AND_K, 0, 0, mask);
  }

  /** Goes to `yes` if the comparison of the word with `k` holds, else to `no`. */
  branch(code: number, k: number, yes: Target, no: Target): Target {
    if (yes === no) return yes;
    // One less: a jump for the second may come between the first and this instruction.
    const jf = this.near(no, REACH - 1);
    const jt = this.near(yes, REACH);
    return this.put(code, this.distance(jt), this.distance(jf), k);
  }

  /** Makes `target` what comes next, so that something that just goes on can be put before it. */
  next(target: Target): void {
    this.near(target, 0);
  }

  /** The program: an array of struct sock_filter. */
  finish(): Uint8Array {
    return new Uint8Array(this.words.slice(2 * (BPF_MAXINSNS - this.size)).buffer);
  }
}
