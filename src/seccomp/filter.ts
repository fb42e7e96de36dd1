/** A compiled filter, and the flags that it is loaded with. */
import { SECCOMP_FILTER_FLAGS } from "../linux/seccomp.ts";
import { FLAGS, type Seccomp } from "./profile.ts";

/** What the kernel is to be given. */
export interface CompiledFilter {
  /** an array of struct sock_filter */
  readonly program: Uint8Array;
  /** SECCOMP_FILTER_FLAG_* */
  readonly flags: number;
  /** Those of `flags` that nobody asked for, which a kernel may refuse. */
  readonly optionalFlags: number;
}

/** A program with places to fill in. */
export interface FilterTemplate {
  /** Base64 of an array of struct sock_filter. */
  readonly program: string;
  /** By the capability that allows a group of calls: the indexes of its return instructions. */
  readonly places: Readonly<Record<string, readonly number[]>>;
}

/** The flags that a profile asks for, and those that it gets anyway. */
export function filterFlags({
  flags,
  syscalls,
}: Pick<Seccomp, "flags" | "syscalls">): Omit<CompiledFilter, "program"> {
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
  return { flags: bits, optionalFlags };
}
