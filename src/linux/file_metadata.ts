/** Modes and times of files: chmod(2), utimensat(2). */
import { cString } from "../ffi/bytes.ts";
import { check } from "../ffi/call.ts";
import { libc } from "../ffi/libc.ts";
import { AT_SYMLINK_NOFOLLOW } from "./fd.ts";

/** chmod by descriptor. */
export function fchmod(fd: number, mode: number): void {
  check("fchmod", { fd, mode: mode.toString(8) }, libc.fchmod(fd, mode));
}

/** chmod(2), follows links. */
export function chmodAt(dirfd: number, path: string, mode: number): void {
  check("chmod", { path, mode: mode.toString(8) }, libc.fchmodat(dirfd, cString(path), mode, 0));
}

/** utimensat(2) without following links: both times set to `seconds` and `nanoseconds`. */
export function setTimesAt(
  dirfd: number,
  path: string,
  seconds: number,
  nanoseconds: number,
): void {
  const times = new BigInt64Array([
    BigInt(seconds),
    BigInt(nanoseconds),
    BigInt(seconds),
    BigInt(nanoseconds),
  ]);
  check("utimensat", { path }, libc.utimensat(dirfd, cString(path), times, AT_SYMLINK_NOFOLLOW));
}
