/**
 * Writing to procfs where others may have mounted something else on /proc or in it: a kernel
 * parameter or a security label that goes into a file of theirs protects nobody (CVE-2019-16884,
 * CVE-2019-19921, CVE-2025-52881).
 */
import { encodeBytes } from "../ffi/bytes.ts";
import { check, isErrno, SysError } from "../ffi/call.ts";
import { libc } from "../ffi/libc.ts";
import { close, O, open, openat2, RESOLVE } from "./fd.ts";
import { fileSystemMagicOf, mountDetached, openFileSystem, PROC_SUPER_MAGIC } from "./mount.ts";

/** Only files of this very mount, and none of another process's. */
const INSIDE = RESOLVE.RESOLVE_BENEATH | RESOLVE.RESOLVE_NO_XDEV | RESOLVE.RESOLVE_NO_MAGICLINKS;

/** A procfs, opened when it is first written to: /proc if that is one, else one that no path leads to. */
export class Procfs implements Disposable {
  #fd: number | undefined;

  /** Writes to an existing file in one write(2). @param path below /proc */
  write(path: string, text: string): void {
    const args = () => ({ source: JSON.stringify(text), to: `/proc/${path}` });
    let fd: number;
    try {
      fd = this.open(path);
    } catch (cause) {
      if (!(cause instanceof SysError)) throw cause;
      throw Object.assign(new SysError("write", args(), cause.errno), { cause });
    }
    try {
      const bytes = encodeBytes(text);
      check("write", args, libc.write(fd, bytes, bytes.length));
    } finally {
      close(fd);
    }
  }

  /** Opens an existing file for writing. @param path below /proc */
  open(path: string): number {
    this.#fd ??= openHostProc() ?? openPrivateProc();
    try {
      return openat2(this.#fd, path, O.O_WRONLY, INSIDE);
    } catch (error) {
      if (!isErrno(error, "EXDEV")) throw error;
      // Something is mounted there.
      close(this.#fd);
      this.#fd = openPrivateProc();
      return openat2(this.#fd, path, O.O_WRONLY, INSIDE);
    }
  }

  [Symbol.dispose](): void {
    if (this.#fd !== undefined) close(this.#fd);
    this.#fd = undefined;
  }
}

function openHostProc(): number | undefined {
  const fd = open("/proc", O.O_PATH | O.O_DIRECTORY);
  if (fileSystemMagicOf(fd) === PROC_SUPER_MAGIC) return fd;
  close(fd);
  return undefined;
}

function openPrivateProc(): number {
  const fileSystem = openFileSystem("proc");
  try {
    return mountDetached(fileSystem);
  } finally {
    close(fileSystem);
  }
}
