/**
 * File systems that we have mounted and that hold what we mount next, such as the tmpfs on /dev. What
 * is in one is ours: nobody else reaches it before the container runs, so nothing in it has to be
 * looked up by the whole path, or distrusted. Synchronous code only.
 */
import { close, O, openat2, RESOLVE } from "../linux/fd.ts";
import { mkdirIfMissing } from "../linux/file.ts";
import { mountSetAttributes } from "../linux/mount.ts";
import { type FreshOp, READONLY } from "./plan.ts";
import { making, splitPath } from "./safe_path.ts";

/** Their roots by target, held open until the last operation. */
export class OwnMounts implements Disposable {
  readonly #roots = new Map<string, number>();
  readonly #unsealed = new Set<string>();

  /** @param fd the root of what the operation has mounted */
  keep({ target, sealed }: FreshOp, fd: number): void {
    this.#roots.set(target, fd);
    if (sealed === true) this.#unsealed.add(target);
  }

  /** Something is mounted at `target`: what was there, and below, is out of sight. */
  cover(target: string): void {
    for (const [path, fd] of this.#roots) {
      if (path !== target && !path.startsWith(`${target.replace(/\/+$/, "")}/`)) continue;
      close(fd);
      this.#roots.delete(path);
      this.#unsealed.delete(path);
    }
  }

  /** The root of the file system mounted at `target`, if it is one of these. */
  root(target: string): number | undefined {
    return this.#roots.get(target);
  }

  /**
   * Makes a directory right in one of these.
   * @throws {RootfsError} that names it
   * @returns an O_PATH descriptor of it; undefined when it would be elsewhere, or something is there
   */
  makeDirectory(target: string): number | undefined {
    const { parent, name } = splitPath(target);
    const root = this.#roots.get(parent);
    if (root === undefined) return undefined;
    if (!making(target, () => mkdirIfMissing(name, 0o755, root))) return undefined;
    const beneath = RESOLVE.RESOLVE_BENEATH | RESOLVE.RESOLVE_NO_SYMLINKS;
    return openat2(root, name, O.O_PATH | O.O_DIRECTORY, beneath);
  }

  /** Makes one read-only, now that all is in it. */
  seal(target: string): void {
    const root = this.#roots.get(target);
    if (root === undefined || !this.#unsealed.delete(target)) return;
    mountSetAttributes(root, READONLY);
  }

  [Symbol.dispose](): void {
    for (const fd of this.#roots.values()) close(fd);
    this.#roots.clear();
  }
}
