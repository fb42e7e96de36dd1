/** Gives the calling process its filter. What takes time is done by {@link prepareFilter}, before the fork. */
import { MydockerError } from "../errors.ts";
import { isErrno, SysError } from "../ffi/call.ts";
import {
  type FilterProgram,
  filterProgram,
  SECCOMP_FILTER_FLAGS,
  setFilter,
} from "../linux/seccomp.ts";
import type { CompiledFilter } from "./filter.ts";

/** A filter ready to be loaded, by this process or a child that was forked from it. */
export interface PreparedFilter {
  readonly argument: FilterProgram;
  readonly flags: number;
  readonly optionalFlags: number;
}

/** Makes a filter ready to be loaded. */
export function prepareFilter({ program, flags, optionalFlags }: CompiledFilter): PreparedFilter {
  return { argument: filterProgram(program), flags, optionalFlags };
}

/**
 * Loads a filter, for good. The caller has set no_new_privs, or has CAP_SYS_ADMIN still.
 * @returns the descriptor on which SCMP_ACT_NOTIFY is answered (close-on-exec), if the profile has it
 * @throws MydockerError when the kernel refuses it
 */
export function loadFilter({ argument, flags, optionalFlags }: PreparedFilter): number | undefined {
  const result = setOrDegrade(argument, flags, optionalFlags);
  if ((flags & SECCOMP_FILTER_FLAGS.SECCOMP_FILTER_FLAG_NEW_LISTENER) !== 0) return result;
  if (result > 0)
    throw new MydockerError(
      `seccomp: thread ${result} has a filter of its own, so SECCOMP_FILTER_FLAG_TSYNC fails`,
    );
  return undefined;
}

function setOrDegrade(argument: FilterProgram, flags: number, optionalFlags: number): number {
  try {
    return setFilter(argument, flags);
  } catch (error) {
    if (!isErrno(error, "EINVAL") || optionalFlags === 0) throw explained(error);
  }
  try {
    return setFilter(argument, flags & ~optionalFlags);
  } catch (error) {
    throw explained(error);
  }
}

/** What the errors of seccomp(2) mean for somebody who wrote a profile. */
function explained(error: unknown): unknown {
  if (!(error instanceof SysError)) return error;
  const hints: Partial<Record<SysError["code"], string>> = {
    EACCES: "it needs no_new_privs or CAP_SYS_ADMIN",
    EBUSY: "a filter with a listener is there already; there can be one",
    EINVAL: "the kernel may lack a flag of the profile, or seccomp filters at all",
    ENOSYS: "the kernel has no seccomp",
  };
  const hint = hints[error.code];
  return new MydockerError(error.message, {
    cause: error,
    ...(hint === undefined ? {} : { hint }),
  });
}
