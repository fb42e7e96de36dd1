/** seccomp(2). Constants from linux/seccomp.h. */
import { check, Flags } from "../ffi/call.ts";
import { addressOf, libc } from "../ffi/libc.ts";
import { defineStruct } from "../ffi/struct.ts";
import { SYS } from "./syscall_numbers.ts";

export const SECCOMP_FILTER_FLAGS = {
  SECCOMP_FILTER_FLAG_TSYNC: 1,
  SECCOMP_FILTER_FLAG_LOG: 2,
  SECCOMP_FILTER_FLAG_SPEC_ALLOW: 4,
  SECCOMP_FILTER_FLAG_NEW_LISTENER: 8,
  SECCOMP_FILTER_FLAG_TSYNC_ESRCH: 16,
  SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV: 32,
} as const;

const SECCOMP_SET_MODE_FILTER = 1;

const sockFprog = defineStruct({ len: "u16", filter: "ptr" });

/** A struct sock_fprog with what it points to. Keep the whole value alive until the call. */
export interface FilterProgram {
  readonly program: Uint8Array;
  readonly header: Uint8Array;
}

/** Makes the argument of {@link setFilter}. @param program an array of struct sock_filter, of 8 bytes each */
export function filterProgram(program: Uint8Array): FilterProgram {
  // Bound now: looking a symbol up takes locks, which a forked child may find taken for ever.
  void libc.seccomp;
  const header = sockFprog.alloc();
  sockFprog.set(header, "len", program.length / 8);
  sockFprog.set(header, "filter", addressOf(program));
  return { program, header };
}

/**
 * seccomp(2), SECCOMP_SET_MODE_FILTER. Needs no_new_privs or CAP_SYS_ADMIN.
 * @returns a listening descriptor (close-on-exec) with NEW_LISTENER, else 0; with TSYNC but not
 * TSYNC_ESRCH, the id of a thread that cannot have the filter, and no filter was set
 */
export function setFilter({ program, header }: FilterProgram, flags: number): number {
  return check(
    "seccomp",
    () => ({
      operation: "SECCOMP_SET_MODE_FILTER",
      instructions: program.length / 8,
      flags: new Flags(SECCOMP_FILTER_FLAGS, flags),
    }),
    libc.seccomp(SYS.seccomp, SECCOMP_SET_MODE_FILTER, flags, header),
  );
}
