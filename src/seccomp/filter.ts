/** A compiled filter, and the flags that it is loaded with. */
import { SECCOMP_FILTER_FLAGS } from "../linux/seccomp.ts";
import { type Action, FLAGS, type Seccomp } from "./profile.ts";

/** What the kernel is to be given. */
export interface CompiledFilter {
  /** an array of struct sock_filter */
  readonly program: Uint8Array;
  /** SECCOMP_FILTER_FLAG_* */
  readonly flags: number;
  /** Those of `flags` that nobody asked for, which a kernel may refuse. */
  readonly optionalFlags: number;
  /** Not all of {@link EXECUTING} is allowed whatever the arguments. */
  readonly narrow?: true;
}

/** Calls that are made under the filter, by the program between us and the command (runtime/trampoline.ts). */
const EXECUTING =
  "execveat clone setsid ioctl fcntl accept4 read close execve write exit_group".split(" ");
/** Bits of clone(2)'s flags for new namespaces, which is all that Docker's profile refuses it. */
const CLONE_NAMESPACES = 0x7e020000;

function isNarrow({ defaultAction, syscalls = [] }: Partial<Seccomp>): boolean {
  if (defaultAction === undefined) return false;
  const lets = (action: Action) => action === "SCMP_ACT_ALLOW" || action === "SCMP_ACT_LOG";
  return EXECUTING.some((name) => {
    const rules = syscalls.filter(({ names }) => names.includes(name));
    const isFree = ({ action, args = [] }: (typeof rules)[number]) =>
      lets(action) &&
      args.every(
        ({ op, value, valueTwo = 0 }) =>
          name === "clone" &&
          op === "SCMP_CMP_MASKED_EQ" &&
          Number(value) === CLONE_NAMESPACES &&
          Number(valueTwo) === 0,
      );
    return !rules.every(isFree) || (rules.length === 0 && !lets(defaultAction));
  });
}

/** A program with places to fill in. */
export interface FilterTemplate {
  /** Base64 of an array of struct sock_filter. */
  readonly program: string;
  /** By the capability that allows a group of calls: the indexes of its return instructions. */
  readonly places: Readonly<Record<string, readonly number[]>>;
}

/**
 * The flags that a profile asks for, and those that it gets anyway.
 * @param profile without a default action Docker's own
 */
export function filterFlags(profile: Partial<Seccomp>): Omit<CompiledFilter, "program"> {
  const { flags, syscalls } = profile;
  // Without it every thread under a filter pays for speculative store bypass on older kernels.
  const optionalFlags = flags === undefined ? FLAGS.SECCOMP_FILTER_FLAG_SPEC_ALLOW : 0;
  let bits: number = optionalFlags;
  for (const flag of flags ?? []) bits |= FLAGS[flag];
  if (syscalls?.some(({ action }) => action === "SCMP_ACT_NOTIFY")) {
    bits |= SECCOMP_FILTER_FLAGS.SECCOMP_FILTER_FLAG_NEW_LISTENER;
    // Both return a number; the kernel wants to be told that a failed TSYNC shall be an error then.
    if ((bits & FLAGS.SECCOMP_FILTER_FLAG_TSYNC) !== 0)
      bits |= SECCOMP_FILTER_FLAGS.SECCOMP_FILTER_FLAG_TSYNC_ESRCH;
  }
  return { flags: bits, optionalFlags, ...(isNarrow(profile) ? { narrow: true } : {}) };
}
