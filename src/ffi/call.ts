/** The one place where a kernel call's result is judged and errno is read. */
import { read } from "bun:ffi";
import { type ErrnoCode, errnoCode, errnoText } from "./errno.ts";
import { libc } from "./libc.ts";

/** A set of flag bits with the table that names them; prints as `MS_BIND|MS_REC`. */
export class Flags {
  constructor(
    readonly table: Readonly<Record<string, number>>,
    readonly value: number,
  ) {}

  toString(): string {
    let rest = this.value;
    const names: string[] = [];
    for (const [name, bits] of Object.entries(this.table)) {
      if (bits !== 0 && (rest & bits) === bits) {
        names.push(name);
        rest &= ~bits;
      }
    }
    if (rest !== 0 || names.length === 0)
      names.push(rest === 0 ? "0" : `0x${(rest >>> 0).toString(16)}`);
    return names.join("|");
  }
}

/** Decoded arguments of a call, in the order in which a person would say them. */
export type CallArgs = Readonly<
  Record<string, string | number | bigint | Flags | null | undefined>
>;

/** What the observer is told of each call: name, decoded arguments, result, and errno when it failed. */
export interface CallRecord {
  readonly syscall: string;
  readonly args: CallArgs;
  readonly result: number;
  readonly errno: number;
}

/** A kernel call that failed. */
export class SysError extends Error {
  override readonly name = "SysError";
  readonly code: ErrnoCode;

  constructor(
    readonly syscall: string,
    readonly args: CallArgs,
    readonly errno: number,
  ) {
    super(`${describeCall(syscall, args)}: ${errnoCode(errno)}: ${errnoText(errno)}`);
    this.code = errnoCode(errno);
  }
}

/** Arguments that are said without their name. */
const BARE = new Set(["path", "source", "name", "file", "pid", "fd"]);

/** `mount overlay on /x/merged (MS_NODEV)`: operation, objects, flags. */
export function describeCall(syscall: string, args: CallArgs): string {
  const words = [syscall];
  let flags = "";
  for (const [key, value] of Object.entries(args)) {
    if (value === undefined || value === null) continue;
    if (value instanceof Flags) {
      if (value.value !== 0) flags = ` (${value})`;
    } else if (BARE.has(key)) words.push(String(value));
    else words.push(`${key} ${value}`);
  }
  return words.join(" ") + flags;
}

let observer: ((record: CallRecord) => void) | undefined;

/** Sets (or, without argument, removes) the function that sees every call. */
export function observeCalls(to?: (record: CallRecord) => void): void {
  observer = to;
}

let errnoLocation: ReturnType<typeof libc.__errno_location> | undefined;

/** errno of the calling thread. Meaningful only straight after a failed call (errno(3)). */
export function errno(): number {
  errnoLocation ??= libc.__errno_location();
  return errnoLocation === null ? 0 : read.i32(errnoLocation, 0);
}

/**
 * Judges the result of a call that returns a negative number on failure.
 * Use it around the call itself, so that nothing stands between the call and reading errno:
 * `check("mount", { source, on: target }, libc.mount(…))`. A function that makes the arguments is
 * called only when somebody wants to see them, and after errno was read.
 * @throws {SysError}
 */
export function check(
  syscall: string,
  args: CallArgs | (() => CallArgs),
  result: number | bigint,
): number {
  const code = result < 0 ? errno() : 0;
  const value = Number(result);
  if (code === 0 && observer === undefined) return value;
  const decoded = typeof args === "function" ? args() : args;
  observer?.({ syscall, args: decoded, result: value, errno: code });
  if (value < 0) throw new SysError(syscall, decoded, code);
  return value;
}

/**
 * Like {@link check}, for a call that is likely to fail with one of these codes: then its result is
 * undefined, and no error is made, which costs more than most calls.
 */
export function checkUnless(
  syscall: string,
  expected: readonly ErrnoCode[],
  args: CallArgs | (() => CallArgs),
  result: number | bigint,
): number | undefined {
  const code = result < 0 ? errno() : 0;
  if (code === 0 && observer === undefined) return Number(result);
  const decoded = typeof args === "function" ? args() : args;
  observer?.({ syscall, args: decoded, result: Number(result), errno: code });
  if (code === 0) return Number(result);
  if (expected.includes(errnoCode(code))) return undefined;
  throw new SysError(syscall, decoded, code);
}

/** Runs `attempt` again for as long as it fails with EINTR. Never for close(2), which must not be repeated. */
export function retryInterrupted(attempt: () => number): number {
  for (;;) {
    try {
      return attempt();
    } catch (error) {
      if (!isErrno(error, "EINTR")) throw error;
    }
  }
}

/** True when `error` is a failed kernel call with one of these codes. */
export function isErrno(error: unknown, ...codes: ErrnoCode[]): error is SysError {
  return error instanceof SysError && codes.includes(error.code);
}
