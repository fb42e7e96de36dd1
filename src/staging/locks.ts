/** Locks on directories and files that others rename away while they hold one themselves. */
import { isErrno } from "../ffi/call.ts";
import { close, flock, LOCK_NB, O, open } from "../linux/fd.ts";
import { ifExists, lstat, statFd } from "../linux/file.ts";

/**
 * Locks an object's directory (flock(2)).
 * @param operation LOCK_SH or LOCK_EX, with LOCK_NB if it shall not wait
 * @returns the lock; undefined when there is no such directory (any more), or with LOCK_NB when it is locked
 */
export function lockDirectory(path: string, operation: number): Disposable | undefined {
  return lock(path, operation, O.O_DIRECTORY);
}

/** {@link lockDirectory} for a file. */
export function lockFile(path: string, operation: number): Disposable | undefined {
  return lock(path, operation, 0);
}

function lock(path: string, operation: number, flags: number): Disposable | undefined {
  const fd = ifExists(() => open(path, O.O_RDONLY | O.O_NOFOLLOW | flags));
  if (fd === undefined) return undefined;
  try {
    flock(fd, operation);
    // Whoever removes it renames it first, under the lock: it may be gone, or another's, by now.
    if (ifExists(() => lstat(path))?.ino === statFd(fd).ino)
      return { [Symbol.dispose]: () => close(fd) };
  } catch (error) {
    if ((operation & LOCK_NB) === 0 || !isErrno(error, "EAGAIN")) {
      close(fd);
      throw error;
    }
  }
  close(fd);
  return undefined;
}
