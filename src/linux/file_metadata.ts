/** Modes and times of files: chmod(2), utimensat(2). */
import { cString } from "../ffi/bytes.ts";
import { check } from "../ffi/call.ts";
import { libc } from "../ffi/libc.ts";
import { AT_FDCWD, AT_SYMLINK_NOFOLLOW, close, fdPath, O, openat } from "./fd.ts";

/** chmod by descriptor. */
export function fchmod(fd: number, mode: number): void {
  check("fchmod", { fd, mode: mode.toString(8) }, libc.fchmod(fd, mode));
}

/** chmod(2), follows links. */
export function chmodAt(dirfd: number, path: string, mode: number): void {
  check("chmod", { path, mode: mode.toString(8) }, libc.fchmodat(dirfd, cString(path), mode, 0));
}

/**
 * chmod(2) of what has the name itself: somebody may be putting a symbolic link in its place, of
 * which this says EOPNOTSUPP.
 */
export function chmodNoFollow(dirfd: number, path: string, mode: number): void {
  const fd = openat(dirfd, path, O.O_PATH | O.O_NOFOLLOW);
  try {
    chmodAt(AT_FDCWD, fdPath(fd), mode);
  } finally {
    close(fd);
  }
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
