/**
 * Directories below one that we hold, by paths that somebody else wrote. Each is opened by
 * openat2(2) with RESOLVE_BENEATH and RESOLVE_NO_SYMLINKS, so that no `..` and no symbolic link
 * leads anywhere; what is missing is made on the descriptor of its parent.
 */
import { encodeBytes } from "../ffi/bytes.ts";
import { isErrno } from "../ffi/call.ts";
import { close, O, openat2, RESOLVE } from "../linux/fd.ts";
import { mkdir } from "../linux/file.ts";
import { chmodNoFollow } from "../linux/file_metadata.ts";
import { quoteName, TarError } from "./tar_header.ts";

/** Nothing but what is below, whatever is mounted there. */
const BENEATH =
  RESOLVE.RESOLVE_BENEATH | RESOLVE.RESOLVE_NO_SYMLINKS | RESOLVE.RESOLVE_NO_MAGICLINKS;
const ANCHORED = BENEATH | RESOLVE.RESOLVE_NO_XDEV;
/** As a process in that root would go. */
const IN_ROOT = RESOLVE.RESOLVE_IN_ROOT | RESOLVE.RESOLVE_NO_MAGICLINKS;

/** How directories are reached. */
export type Reach =
  /** on one file system, without symbolic links: a layer's */
  | { readonly kind: "layer" }
  /** without symbolic links: a tree that others may be changing */
  | { readonly kind: "tree" }
  /** from `base` in a container's root on, symbolic links as the container would follow them */
  | { readonly kind: "root"; readonly base: string };

/** limits.h: bytes of a path, with its NUL. */
const PATH_MAX = 4096;
/** Mode of directories that an archive leaves out. */
const IMPLIED_MODE = 0o755;

/** A name as the directory it is in and its last component; both are "" for the root itself. */
export interface Place {
  readonly directory: string;
  readonly name: string;
}

/**
 * Takes a member's name apart: `.`, empty components and a leading slash mean nothing (as to
 * Docker and tar(1)), `..` is refused wherever it stands.
 * @throws {TarError}
 */
export function placeOf(path: string): Place {
  if (path.length >= PATH_MAX / 4 && encodeBytes(path).length >= PATH_MAX)
    throw new TarError(
      `the tar archive has a name of more than ${PATH_MAX - 1} bytes: ${quoteName(path)}`,
    );
  const parts = path.split("/").filter((part) => part !== "" && part !== ".");
  if (parts.includes(".."))
    throw new TarError(`the tar archive has a name with "..": ${quoteName(path)}`);
  const name = parts.pop() ?? "";
  return { directory: parts.join("/"), name };
}

/** Opens directories below `root`; keeps the last one open, since archives list a directory's files together. */
export class AnchoredDirectories {
  private path = "";
  private fd: number;

  /**
   * @param root a directory's descriptor, which stays the caller's
   * @param base with {@link Reach} of the kind `root` the directory of that path, otherwise the same
   */
  constructor(
    private readonly root: number,
    private readonly how: Reach = { kind: "layer" },
    private readonly base = root,
  ) {
    this.fd = base;
  }

  /**
   * The descriptor (O_PATH) of a directory, good until the next call of any method.
   * @param path as in {@link Place}
   * @param make whether missing directories are made
   * @throws {TarError} when a component is no directory
   */
  open(path: string, make: boolean): number {
    if (path === this.path) return this.fd;
    const fd = this.reach(path, make);
    this.forget();
    this.path = path;
    this.fd = fd;
    return fd;
  }

  /** Lets go of the directory that is open: it may have been removed or replaced. */
  forget(): void {
    if (this.fd !== this.base) close(this.fd);
    this.path = "";
    this.fd = this.base;
  }

  private reach(path: string, make: boolean): number {
    if (path === "") return this.base;
    try {
      return this.step(path);
    } catch (error) {
      if (!make || !isErrno(error, "ENOENT")) throw error;
    }
    const slash = path.lastIndexOf("/");
    const parent = this.reach(slash === -1 ? "" : path.slice(0, slash), make);
    try {
      const name = path.slice(slash + 1);
      mkdir(name, IMPLIED_MODE, parent);
      // Whatever the umask of whoever imports.
      chmodNoFollow(parent, name, IMPLIED_MODE);
    } finally {
      if (parent !== this.base) close(parent);
    }
    return this.step(path);
  }

  private step(path: string): number {
    const { how } = this;
    const flags = O.O_PATH | O.O_DIRECTORY;
    try {
      if (how.kind === "root") return openat2(this.root, `${how.base}/${path}`, flags, IN_ROOT);
      return openat2(this.root, path, flags, how.kind === "layer" ? ANCHORED : BENEATH);
    } catch (error) {
      if (isErrno(error, "ELOOP", "ENOTDIR", "EXDEV"))
        throw new TarError(
          `the tar archive has a name that goes through a symbolic link or a file: ${quoteName(path)} is no directory`,
          { cause: error },
        );
      throw error;
    }
  }
}
