/** Extended attributes: xattr(7). */
import { cString } from "../ffi/bytes.ts";
import { check, isErrno } from "../ffi/call.ts";
import { libc } from "../ffi/libc.ts";

/** lsetxattr(2). */
export function setXattr(path: string, name: string, value: Uint8Array): void {
  check(
    "lsetxattr",
    { path, name },
    libc.lsetxattr(cString(path), cString(name), value, value.length, 0),
  );
}

/** XATTR_SIZE_MAX of linux/limits.h: bytes of an extended attribute's value. */
const XATTR_SIZE_MAX = 65536;

/** lgetxattr(2). @returns undefined when the file has no such attribute */
export function getXattr(path: string, name: string): Uint8Array | undefined {
  const value = new Uint8Array(XATTR_SIZE_MAX);
  try {
    const length = check(
      "lgetxattr",
      { path, name },
      libc.lgetxattr(cString(path), cString(name), value, value.length),
    );
    return value.slice(0, length);
  } catch (error) {
    if (isErrno(error, "ENODATA")) return undefined;
    throw error;
  }
}
