/** Extended attributes: xattr(7). */
import { cString, decodeBytes } from "../ffi/bytes.ts";
import { check, checkUnless, isErrno } from "../ffi/call.ts";
import { libc } from "../ffi/libc.ts";
import { fdPath } from "./fd.ts";

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
/** XATTR_LIST_MAX: bytes of the names of all of them. */
const XATTR_LIST_MAX = 65536;

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

/** llistxattr(2): the names of a file's attributes; none where the file system has no such thing. */
export function listXattrs(path: string): string[] {
  const names = new Uint8Array(XATTR_LIST_MAX);
  const length = checkUnless(
    "llistxattr",
    ["EOPNOTSUPP"],
    () => ({ path }),
    libc.llistxattr(cString(path), names, names.length),
  );
  if (length === undefined || length === 0) return [];
  return decodeBytes(names.subarray(0, length - 1)).split("\0");
}

/** One buffer for many files: most have no attribute at all. */
let buffer: Uint8Array | undefined;

/** listxattr(2) of what a descriptor names, also an O_PATH one; see {@link listXattrs}. */
export function listXattrsOf(fd: number): string[] {
  buffer ??= new Uint8Array(XATTR_SIZE_MAX);
  const length = checkUnless(
    "listxattr",
    ["EOPNOTSUPP"],
    () => ({ fd }),
    libc.listxattr(cString(fdPath(fd)), buffer, XATTR_LIST_MAX),
  );
  if (length === undefined || length === 0) return [];
  return decodeBytes(buffer.subarray(0, length - 1)).split("\0");
}

/** getxattr(2) of what a descriptor names, also an O_PATH one; see {@link getXattr}. */
export function getXattrOf(fd: number, name: string): Uint8Array | undefined {
  buffer ??= new Uint8Array(XATTR_SIZE_MAX);
  const length = checkUnless(
    "getxattr",
    ["ENODATA", "EOPNOTSUPP"],
    () => ({ fd, name }),
    libc.getxattr(cString(fdPath(fd)), cString(name), buffer, buffer.length),
  );
  return length === undefined ? undefined : buffer.slice(0, length);
}
