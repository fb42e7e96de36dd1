/** Files that are replaced as a whole, so that a reader sees the old one or the new one. */
import { encodeBytes } from "../ffi/bytes.ts";
import { close, fsync, O, open, writeAll } from "./fd.ts";
import { rename, unlink } from "./file.ts";

/** Replaces a file: a temporary one beside it, synced if `durable`, renamed into place. */
export function replaceFile(
  path: string,
  text: string,
  options: { durable?: boolean; mode?: number } = {},
): void {
  const temporary = `${path}.${process.pid}.tmp`;
  const fd = open(temporary, O.O_WRONLY | O.O_CREAT | O.O_TRUNC, options.mode ?? 0o600);
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
