/** Files that are replaced as a whole, so that a reader sees the old one or the new one. */
import { cString, encodeBytes } from "../ffi/bytes.ts";
import { check, checkUnless, SysError } from "../ffi/call.ts";
import { libc } from "../ffi/libc.ts";
import {
  AT_FDCWD,
  AT_SYMLINK_FOLLOW,
  close,
  fdPath,
  fsync,
  ftruncate,
  O,
  open,
  pwrite,
  writeAll,
} from "./fd.ts";
import { rename, unlink } from "./file.ts";
import { SYS } from "./syscall_numbers.ts";

/** Replaces a file: a temporary one beside it, synced if `durable`, renamed into place. */
export function replaceFile(
  path: string,
  text: string,
  options: { durable?: boolean; mode?: number } = {},
): void {
  const temporary = `${path}.${process.pid}.tmp`;
  const fd = openTemporary(temporary, path, options.mode ?? 0o600);
  try {
    writeAll(fd, encodeBytes(text), path);
    if (options.durable === true) fsync(fd);
  } catch (error) {
    unlink(temporary);
    throw error;
  } finally {
    close(fd);
  }
  rename(temporary, path);
  if (options.durable === true) syncDirectory(path.slice(0, path.lastIndexOf("/")) || "/");
}

/** An error names the file that is to be replaced. */
function openTemporary(temporary: string, path: string, mode: number): number {
  try {
    return open(temporary, O.O_WRONLY | O.O_CREAT | O.O_TRUNC, mode);
  } catch (cause) {
    if (!(cause instanceof SysError)) throw cause;
    throw Object.assign(new SysError("write", { path }, cause.errno), { cause });
  }
}

/**
 * Makes another file of a file that is there, as {@link replaceFile} with `durable`, on a disk that
 * has no room for a new one: in its place, and then by another name.
 * @param text no longer than what is there
 */
export function rewriteAs(from: string, path: string, text: string): void {
  const fd = open(from, O.O_WRONLY);
  try {
    const bytes = encodeBytes(text);
    pwrite(fd, bytes, 0);
    ftruncate(fd, bytes.length);
    fsync(fd);
  } finally {
    close(fd);
  }
  rename(from, path);
  syncDirectory(path.slice(0, path.lastIndexOf("/")) || "/");
}

/** Gives a file its first name, which must be free: linkat(2), and open(2), "O_TMPFILE". */
export function nameFile(fd: number, path: string): void {
  const [from, to] = [cString(fdPath(fd)), cString(path)];
  const result = libc.linkat(AT_FDCWD, from, AT_FDCWD, to, AT_SYMLINK_FOLLOW);
  check("link", { path }, result);
}

/** Makes what was written to a file durable. */
export function syncFile(path: string): void {
  const fd = open(path, O.O_RDONLY);
  try {
    fsync(fd);
  } finally {
    close(fd);
  }
}

/** Makes a rename in a directory durable. */
export function syncDirectory(path: string): void {
  const fd = open(path, O.O_RDONLY | O.O_DIRECTORY);
  try {
    fsync(fd);
  } finally {
    close(fd);
  }
}

/**
 * renameat2(2), RENAME_NOREPLACE: from one directory to another, not onto anything.
 * @returns false when something has that name there
 */
export function renameIfFree(fromDir: number, from: string, toDir: number, to: string): boolean {
  const RENAME_NOREPLACE = 1;
  const [source, target] = [cString(from), cString(to)];
  const moved = checkUnless(
    "renameat2",
    ["EEXIST"],
    () => ({ source: from, to }),
    libc.renameat2(SYS.renameat2, fromDir, source, toDir, target, RENAME_NOREPLACE),
  );
  return moved !== undefined;
}
