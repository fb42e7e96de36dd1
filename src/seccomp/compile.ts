/**
 * A seccomp profile → a program of classic BPF.
 *
 * The number of a call is looked up by binary search among ranges of numbers that fare alike, which
 * has fewer steps than one among numbers: Docker's profile has 370 calls, and 50 ranges.
 */
import { FAMILIES, type FilterArch } from "./architectures.ts";
import {
  Assembler,
  BPF_JMP_JEQ_K,
  BPF_JMP_JGE_K,
  DATA_ARCH,
  DATA_NR,
  Return,
  type Target,
} from "./bpf.ts";
import { testRules } from "./conditions.ts";
import { type CompiledFilter, filterFlags } from "./filter.ts";
import { precompiled } from "./precompiled.ts";
import { ACTIONS, type Architecture, returnValue, type Seccomp } from "./profile.ts";
import { collectRules, type Decision, type Rule } from "./rules.ts";
import { X32_SYSCALL_BIT } from "./syscalls_x32.ts";

const ENOSYS = 38;

/** Calls from `start` on, up to the next range. */
interface Range {
  readonly start: number;
  readonly target: Target;
  /** How often one of them is called, roughly. */
  readonly weight: number;
}

/** What programs call all the time. They get the short paths. */
const HOT =
  "read write close fstat mmap mprotect munmap brk ioctl futex poll epoll_wait epoll_pwait recvfrom sendto recvmsg sendmsg openat newfstatat lseek getpid getppid gettid clock_gettime clock_nanosleep nanosleep sched_yield rt_sigprocmask rt_sigaction".split(
    " ",
  );
const HOT_WEIGHT = 4;

/** A program while it is being made. */
class Compiler {
  readonly assembler = new Assembler();
  private readonly returns = new Map<number, Return>();
  /** Code of rules that several calls have. */
  private readonly chains = new Map<string, Target>();
  private readonly unless: Return;
  private readonly badArch: Return;
  private readonly enosys: Return;
  /** Whether calls newer than the profile get ENOSYS. */
  private readonly hidesNewCalls: boolean;

  constructor(readonly profile: Seccomp) {
    const { defaultAction, defaultErrnoRet } = profile;
    this.unless = this.returning(returnValue(defaultAction, defaultErrnoRet));
    this.badArch = this.returning(ACTIONS.SCMP_ACT_KILL_THREAD);
    this.enosys = this.returning(returnValue("SCMP_ACT_ERRNO", ENOSYS));
    this.hidesNewCalls =
      defaultAction !== "SCMP_ACT_ALLOW" &&
      defaultAction !== "SCMP_ACT_LOG" &&
      defaultAction !== "SCMP_ACT_TRACE";
  }

  private returning(value: number): Return {
    let found = this.returns.get(value);
    if (found === undefined) {
      found = new Return(value);
      this.returns.set(value, found);
    }
    return found;
  }

  private rules(rules: readonly Rule[], width: 32 | 64): Target {
    const key = `${width}${JSON.stringify(rules)}`;
    const found = this.chains.get(key);
    if (found !== undefined) return found;
    const chain = testRules(
      this.assembler,
      rules,
      width,
      (value) => this.returning(value),
      this.unless,
    );
    this.chains.set(key, chain);
    return chain;
  }

  private target(decision: Decision | undefined, width: 32 | 64): Target {
    if (decision === undefined) return this.unless;
    return typeof decision === "number" ? this.returning(decision) : this.rules(decision, width);
  }

  /** Ranges of an architecture's calls, from number 0 on. */
  private ranges(arch: FilterArch, isListed: boolean): Range[] {
    const { near, far, last } = collectRules(this.profile, arch);
    const ranges: { start: number; target: Target; weight: number }[] = [];
    const append = (start: number, target: Target) => {
      if (ranges.at(-1)?.target !== target) ranges.push({ start, target, weight: 1 });
    };
    let before: Decision | undefined;
    append(0, this.target(near[0], arch.width));
    // One more than there are, so that what comes after the last one has its range.
    const end = Math.min(last + 2, near.length);
    for (let number = 0; number < end; number++) {
      const decision = near[number];
      if (decision === before) continue;
      append(number, this.target(decision, arch.width));
      before = decision;
    }
    let expected = end;
    for (const number of [...far.keys()].sort((a, b) => a - b)) {
      if (number > expected) append(expected, this.unless);
      append(number, this.target(far.get(number), arch.width));
      expected = number + 1;
    }
    if (far.size > 0) append(expected, this.unless);
    // Nothing behind the last call has a rule, so one range is there, or none.
    if (isListed && this.hidesNewCalls && last > 0) {
      while ((ranges.at(-1)?.start ?? 0) > last) ranges.pop();
      append(last + 1, this.enosys);
    }
    const numbers = arch.syscalls();
    for (const name of HOT) {
      const number = numbers.get(name);
      const range = number === undefined ? undefined : rangeOf(ranges, number);
      if (range !== undefined) range.weight += HOT_WEIGHT;
    }
    return ranges;
  }

  /** Puts a search tree for the ranges from number `from` up to `to`; the call's number is loaded. */
  private tree(ranges: readonly Range[], from: number, to: number, bit: number): Target {
    const first = ranges[from] as Range;
    if (to - from === 1) return first.target;
    const [second, third] = [ranges[from + 1] as Range, ranges[from + 2]];
    if (
      to - from === 3 &&
      third !== undefined &&
      third.target === first.target &&
      third.start === second.start + 1
    )
      return this.assembler.branch(BPF_JMP_JEQ_K, second.start | bit, second.target, first.target);
    const middle = balance(ranges, from, to);
    const high = this.tree(ranges, middle, to, bit);
    const low = this.tree(ranges, from, middle, bit);
    const { start } = ranges[middle] as Range;
    return this.assembler.branch(BPF_JMP_JGE_K, start | bit, high, low);
  }

  /** Puts the search for a call of one architecture. */
  private search(arch: FilterArch, isListed: boolean): Target {
    const ranges = this.ranges(arch, isListed);
    return this.tree(ranges, 0, ranges.length, arch.bit);
  }

  /** What an x86-64 kernel calls x86-64 is x32 too, told apart by a bit of the number. */
  private searchX86(family: ReadonlyMap<Architecture, FilterArch>, listed: Set<Architecture>) {
    const x32 = family.get("SCMP_ARCH_X32");
    const x86 = family.get("SCMP_ARCH_X86_64") as FilterArch;
    const isX86Listed = listed.has("SCMP_ARCH_X86_64");
    if (x32 !== undefined && listed.has("SCMP_ARCH_X32")) {
      const high = this.search(x32, true);
      return this.assembler.branch(
        BPF_JMP_JGE_K,
        X32_SYSCALL_BIT,
        high,
        this.search(x86, isX86Listed),
      );
    }
    // A tracer makes a call number -1 to skip it, and the filter sees that too (seccomp(2)).
    const high = this.assembler.branch(BPF_JMP_JEQ_K, 0xffffffff, this.unless, this.badArch);
    return this.assembler.branch(
      BPF_JMP_JGE_K,
      X32_SYSCALL_BIT,
      high,
      this.search(x86, isX86Listed),
    );
  }

  compile(machine: "x64" | "arm64"): Uint8Array {
    const family = FAMILIES[machine];
    const listed = new Set(this.profile.architectures ?? []);
    const [native] = family.keys();
    let next: Target = this.badArch;
    // From the last to the first, so that the machine's own comes first.
    const sections = [...family].reverse();
    const entries: { audit: number; start: Target }[] = [];
    for (const [name, arch] of sections) {
      if (name === "SCMP_ARCH_X32" || (name !== native && !listed.has(name))) continue;
      const search =
        name === "SCMP_ARCH_X86_64"
          ? this.searchX86(family, listed)
          : this.search(arch, listed.has(name));
      this.assembler.next(search);
      entries.push({ audit: arch.audit, start: this.assembler.load(DATA_NR) });
    }
    for (const { audit, start } of entries)
      next = this.assembler.branch(BPF_JMP_JEQ_K, audit, start, next);
    this.assembler.next(next);
    this.assembler.load(DATA_ARCH);
    return this.assembler.finish();
  }
}

/** The range that a number is in. */
function rangeOf<T extends { readonly start: number }>(
  ranges: readonly T[],
  number: number,
): T | undefined {
  let [low, high] = [0, ranges.length];
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if ((ranges[middle] as T).start <= number) low = middle;
    else high = middle;
  }
  return ranges[low];
}

/** Where to cut so that both sides are called about equally often: the index of the right side's first. */
function balance(ranges: readonly Range[], from: number, to: number): number {
  let total = 0;
  for (let index = from; index < to; index++) total += (ranges[index] as Range).weight;
  let left = 0;
  for (let index = from; index < to - 1; index++) {
    const { weight } = ranges[index] as Range;
    if (left + weight >= total / 2) {
      const isCloser = left + weight - total / 2 <= total / 2 - left || index === from;
      return isCloser ? index + 1 : index;
    }
    left += weight;
  }
  return to - 1;
}

type Machine = "x64" | "arm64";

/**
 * Compiles the rules of a profile.
 * @returns an array of struct sock_filter
 * @throws MydockerError for a profile that contradicts itself or is too large
 */
export function compileProgram(profile: Seccomp, machine: Machine): Uint8Array {
  return new Compiler(profile).compile(machine);
}

/**
 * Makes what the kernel is to be given of a profile.
 * @param machine whose kernel is to run it; default: this one's
 * @throws MydockerError for a profile that contradicts itself or is too large
 */
export function compileSeccomp(
  profile: Seccomp,
  machine: Machine = process.arch === "arm64" ? "arm64" : "x64",
): CompiledFilter {
  const program = precompiled(profile, machine) ?? compileProgram(profile, machine);
  return { program, ...filterFlags(profile) };
}
