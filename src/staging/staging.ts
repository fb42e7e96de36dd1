/**
 * Where things are made before they are renamed into their place: a directory of our own under
 * `tmp/`, locked for as long as we live. What a killed process left there is not locked any more,
 * and goes with the next command. `tmp/` itself is there only while something is in it, so that to
 * look for remains costs a command one call.
 */

import { isErrno } from "../ffi/call.ts";
import { readDirectory, removeTree } from "../linux/directory.ts";
import { LOCK_EX, LOCK_NB } from "../linux/fd.ts";
import { ifExists, makeDirectories, mkdir, rmdirIfEmpty, statIfExists } from "../linux/file.ts";
import { lockDirectory } from "./locks.ts";

/** A directory to make things in; gone, with what is left in it, when it is disposed of. */
export class Staging {
  private constructor(
    private readonly parent: string,
    /** Absolute. */
    readonly path: string,
    private readonly lock: Disposable,
  ) {}

  /** Makes one under `parent`, after removing the remains of the dead there. @param finish see {@link removeRemains} */
  static create(parent: string, finish?: (directory: string) => void): Staging {
    removeRemains(parent, finish);
    for (;;) {
      const path = `${parent}/${crypto.randomUUID()}`;
      makeDirectories(parent);
      try {
        mkdir(path, 0o700);
      } catch (error) {
        if (!isErrno(error, "ENOENT")) throw error;
        continue; // others were done, and removed the parent
      }
      // Between its making and our lock another process may take it for a dead one's.
      const lock = lockDirectory(path, LOCK_EX | LOCK_NB);
      if (lock !== undefined) return new Staging(parent, path, lock);
    }
  }

  /** Removes it and what is still in it. */
  [Symbol.dispose](): void {
    try {
      removeTree(this.path);
      rmdirIfEmpty(this.parent);
    } finally {
      this.lock[Symbol.dispose]();
    }
  }
}

/**
 * Removes what the dead left.
 * @param finish does first what somebody dead had begun and has to be done
 * @returns whether there was anything
 */
export function removeRemains(parent: string, finish?: (directory: string) => void): boolean {
  if (statIfExists(parent) === undefined) return false;
  let found = false;
  for (const name of ifExists(() => readDirectory(parent)) ?? []) {
    const path = `${parent}/${name}`;
    using lock = lockDirectory(path, LOCK_EX | LOCK_NB);
    if (lock === undefined) continue;
    finish?.(path);
    removeTree(path);
    found = true;
  }
  rmdirIfEmpty(parent);
  return found;
}
