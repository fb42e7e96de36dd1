/**
 * Where things are made before they are renamed into their place: a directory of our own under
 * `tmp/`, locked for as long as we live. What a killed process left there is not locked any more,
 * and goes with the next command that makes one.
 */

import { readDirectory, removeTree } from "../linux/directory.ts";
import { LOCK_EX, LOCK_NB } from "../linux/fd.ts";
import { makeDirectories, mkdir } from "../linux/file.ts";
import { lockDirectory } from "./locks.ts";

/** A directory to make things in; gone, with what is left in it, when it is disposed of. */
export class Staging {
  private constructor(
    /** Absolute. */
    readonly path: string,
    private readonly lock: Disposable,
  ) {}

  /** Makes one under `parent`, after removing the remains of the dead there. */
  static create(parent: string): Staging {
    makeDirectories(parent);
    clean(parent);
    for (;;) {
      const path = `${parent}/${crypto.randomUUID()}`;
      mkdir(path, 0o700);
      // Between its making and our lock another process may take it for a dead one's.
      const lock = lockDirectory(path, LOCK_EX | LOCK_NB);
      if (lock !== undefined) return new Staging(path, lock);
    }
  }

  /** Removes it and what is still in it. */
  [Symbol.dispose](): void {
    try {
      removeTree(this.path);
    } finally {
      this.lock[Symbol.dispose]();
    }
  }
}

function clean(parent: string): void {
  for (const name of readDirectory(parent)) {
    const path = `${parent}/${name}`;
    using lock = lockDirectory(path, LOCK_EX | LOCK_NB);
    if (lock !== undefined) removeTree(path);
  }
}
