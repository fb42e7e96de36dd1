/**
 * Where things are made before they are renamed into their place: a directory of our own under
 * `tmp/`, locked for as long as we live. What a killed process left there is not locked any more,
 * and goes with the next command that makes one.
 */
import { isErrno } from "../ffi/call.ts";
import { close, flock, LOCK_EX, LOCK_NB, O, open } from "../linux/fd.ts";
import {
  ifExists,
  makeDirectories,
  mkdir,
  readDirectory,
  removeTree,
  statFd,
} from "../linux/file.ts";

export class Staging {
  private constructor(
    /** Absolute. */
    readonly path: string,
    private readonly fd: number,
  ) {}

  /** Makes one under `parent`, after removing the remains of the dead there. */
  static create(parent: string): Staging {
    makeDirectories(parent);
    clean(parent);
    for (;;) {
      const path = `${parent}/${crypto.randomUUID()}`;
      mkdir(path, 0o700);
      const fd = lock(path);
      if (fd !== undefined) return new Staging(path, fd);
    }
  }

  /** Removes it and what is still in it. */
  [Symbol.dispose](): void {
    try {
      removeTree(this.path);
    } finally {
      close(this.fd);
    }
  }
}

/** Locks a directory. @returns a descriptor, or undefined if someone else has it or it is gone */
function lock(path: string): number | undefined {
  const fd = ifExists(() => open(path, O.O_RDONLY | O.O_DIRECTORY | O.O_NOFOLLOW));
  if (fd === undefined) return undefined;
  try {
    flock(fd, LOCK_EX | LOCK_NB);
    // Between its making and our lock another process may have taken it for a dead one's.
    if (statFd(fd).nlink > 0) return fd;
  } catch (error) {
    if (!isErrno(error, "EAGAIN")) throw error;
  }
  close(fd);
  return undefined;
}

function clean(parent: string): void {
  for (const name of readDirectory(parent)) {
    const path = `${parent}/${name}`;
    const fd = lock(path);
    if (fd === undefined) continue;
    try {
      removeTree(path);
    } finally {
      close(fd);
    }
  }
}
