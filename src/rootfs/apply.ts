/** Replays a rootfs plan in the container's mount namespace, before the pivot. Synchronous code only. */
import { isErrno } from "../ffi/call.ts";
import { AT_FDCWD, close, fdPath, O, open } from "../linux/fd.ts";
import {
  ifExists,
  realPath,
  S_IFBLK,
  S_IFDIR,
  S_IFMT,
  type Stat,
  statFd,
  statIfExists,
} from "../linux/file.ts";
import {
  cloneTree,
  MNT_DETACH,
  MS,
  mount,
  mountSetAttributes,
  moveMount,
  openTree,
  umount,
} from "../linux/mount.ts";
import { isNode, NodeMaker } from "./devices.ts";
import { mountAt, mountFresh } from "./fresh.ts";
import { mapIds } from "./id_map.ts";
import { OwnMounts } from "./own_mounts.ts";
import { type BindOp, type FreshOp, type MountOp, READONLY } from "./plan.ts";
import { guardProc } from "./proc_guard.ts";
import { explain, RootfsError } from "./rootfs_error.ts";
import {
  makeDirectoryInRoot,
  makeFileInRoot,
  openInRoot,
  openInRootIfExists,
} from "./safe_path.ts";

/** What is to be bound: a descriptor of it, or of a detached copy already. */
export interface BindSource {
  readonly fd: number;
  readonly isCopy: boolean;
}

/** What is to be bound, by its operation. */
export type BindSources = ReadonlyMap<MountOp, BindSource>;

/**
 * Opens the sources of all bind operations. Done before the mount namespace becomes private, and
 * anything is mounted at `attachAt`: what shares mounts with the host, and what would show our own,
 * is copied now. The rest is copied when its turn comes, since mountinfo lists mounts in the order in
 * which they were made (since Linux 6.8), and is read as if that was the order of the mounting.
 * @throws {RootfsError} for a source that cannot be had
 */
export function openBindSources(
  ops: readonly MountOp[],
  attachAt: string,
): Map<MountOp, BindSource> {
  const sources = new Map<MountOp, BindSource>();
  for (const op of ops) {
    if (op.op !== "bind" || op.isMade === true) continue;
    const isCopy = op.tree !== undefined || isCopiedEarly(op, attachAt);
    const fd = op.tree ?? (isCopy ? cloneBindSource(op) : openBindSource(op));
    sources.set(op, { fd, isCopy });
  }
  return sources;
}

/**
 * Mounts the file systems on devices: in the container's cgroup the device's rules hold for mount(2), too.
 * @param at a directory where nothing is mounted afterwards
 * @throws {RootfsError}
 */
export function mountDevices(
  ops: readonly MountOp[],
  sources: Map<MountOp, BindSource>,
  at: string,
): void {
  for (const op of ops) {
    if (op.op !== "mount" || !op.source.startsWith("/") || !isBlockDevice(op.source)) continue;
    mountAt(at, op);
    sources.set(op, { fd: cloneTree(AT_FDCWD, at, false), isCopy: true });
    umount(at, MNT_DETACH);
  }
}

const isBlockDevice = (path: string): boolean =>
  ((statIfExists(path)?.mode ?? 0) & S_IFMT) === S_IFBLK;

/** Opens the sources that were made meanwhile. @throws {RootfsError} */
export function openMadeSources(ops: readonly MountOp[], sources: Map<MountOp, BindSource>): void {
  for (const op of ops) {
    if (op.op === "bind" && op.isMade === true) {
      sources.set(op, { fd: openBindSource(op), isCopy: false });
    }
  }
}

function isCopiedEarly({ idmap, changes, recursive, source }: BindOp, attachAt: string): boolean {
  if (idmap !== undefined || (recursive && isAbove(source, attachAt))) return true;
  return changes.some(
    ({ propagation }) => propagation === MS.MS_SHARED || propagation === MS.MS_SLAVE,
  );
}

/** By the path: what leads there by links is above for all we know, so both names count. */
function isAbove(source: string, path: string): boolean {
  const below = (ancestor: string) =>
    `${path}/`.startsWith(ancestor === "/" ? "/" : `${ancestor}/`);
  return below(source) || below(ifExists(() => realPath(source)) ?? "/");
}

function openBindSource(op: BindOp): number {
  if (op.below !== undefined) return openPart(op, op.below);
  try {
    return openTree(op.source);
  } catch (error) {
    throw explain(error, `mount ${op.source} on ${op.target}`);
  }
}

function openPart(op: BindOp, { path, called }: NonNullable<BindOp["below"]>): number {
  try {
    return holding(open(op.source, O.O_PATH | O.O_DIRECTORY), (fd) => openInRoot(fd, path));
  } catch (error) {
    throw explain(error, `mount ${called} on ${op.target}`);
  }
}

/**
 * The operations with the trees whose ids are mapped copied already: that takes rights in the user
 * namespace that their file systems belong to, which a container in one of its own has not.
 * The caller closes {@link mappedSources}.
 */
export function cloneMappedSources(ops: readonly MountOp[]): readonly MountOp[] {
  const isMapped = (op: MountOp) => op.op === "bind" && op.idmap !== undefined;
  if (!ops.some(isMapped)) return ops;
  return ops.map((op) =>
    op.op === "bind" && isMapped(op) ? { ...op, tree: cloneBindSource(op) } : op,
  );
}

/** Descriptors of trees that {@link cloneMappedSources} has copied. */
export function mappedSources(ops: readonly MountOp[]): number[] {
  const trees: number[] = [];
  for (const op of ops) if (op.op === "bind" && op.tree !== undefined) trees.push(op.tree);
  return trees;
}

function cloneBindSource(op: BindOp): number {
  let tree: number;
  try {
    tree =
      op.below === undefined
        ? cloneTree(AT_FDCWD, op.source, op.recursive)
        : holding(openPart(op, op.below), (fd) => cloneTree(fd, "", op.recursive));
  } catch (error) {
    throw explain(error, `mount ${op.source} on ${op.target}`);
  }
  if (op.idmap !== undefined) mapIds(tree, op.idmap, `mount ${op.source} on ${op.target}`);
  return tree;
}

/** A root file system that is being set up, operation by operation. */
export class RootfsBuilder implements Disposable {
  readonly #own = new OwnMounts();
  #null: number | undefined;

  /** @param rootFd an O_PATH descriptor of the root */
  constructor(readonly rootFd: number) {}

  /** Applies the operations in order. The sources are closed. @throws {RootfsError} */
  apply(ops: readonly MountOp[], sources: BindSources): void {
    using nodes = new NodeMaker(this.rootFd, this.#own);
    for (const op of ops) {
      switch (op.op) {
        case "mount":
          this.#mountFresh(op, sources.get(op));
          break;
        case "bind":
          this.#attachBind(op, sources.get(op) as BindSource);
          break;
        case "device":
          nodes.device(op);
          break;
        case "symlink":
          nodes.symlink(op);
          break;
        case "change":
          this.#onTarget(op.target, (fd) => {
            for (const change of op.changes) mountSetAttributes(fd, change);
          });
          break;
        case "seal":
          this.#own.seal(op.target);
          break;
        case "readonly":
          this.#onExisting(op, (fd) => {
            const tree = cloneTree(fd, "", true);
            mountSetAttributes(tree, { ...READONLY, recursive: true });
            moveMount(tree, fd, op.target);
            close(tree);
          });
          break;
        case "mask":
          this.#onExisting(op, (fd) => this.#mask(fd, op.target));
          break;
      }
    }
    if (this.#null !== undefined) close(this.#null);
    this.#null = undefined;
  }

  [Symbol.dispose](): void {
    this.#own[Symbol.dispose]();
  }

  #mountFresh(op: FreshOp, device?: BindSource): void {
    if (device !== undefined) {
      const { source, target, changes = [] } = op;
      this.#attachBind({ op: "bind", source, target, changes, recursive: false }, device);
      return;
    }
    const mounted = mountFresh(this.rootFd, op, this.#own);
    this.#own.cover(op.target);
    if (mounted !== undefined) this.#own.keep(op, mounted);
  }

  #attachBind(op: BindOp, source: BindSource): void {
    const tree = copyNow(op, source);
    try {
      attachTree(this.rootFd, op, tree, this.#own);
      this.#own.cover(op.target);
    } finally {
      close(tree);
      if (tree !== source.fd) close(source.fd);
    }
  }

  #mask(fd: number, target: string): void {
    if (isDirectory(statFd(fd))) {
      mount("tmpfs", fdPath(fd), "tmpfs", MS.MS_RDONLY, "size=0k");
      return;
    }
    this.#null ??= openHostNull();
    const nothing = cloneTree(this.#null, "", false);
    // Read-only: its mode and owner are not for a container to change.
    mountSetAttributes(nothing, READONLY);
    moveMount(nothing, fd, target);
    close(nothing);
  }

  #onTarget(target: string, act: (fd: number) => void): void {
    try {
      holding(openInRoot(this.rootFd, target), act);
    } catch (error) {
      throw explain(error, `change the mount on ${target}`);
    }
  }

  /** Acts on a path if it is there; masked and read-only paths that a kernel lacks need nothing. */
  #onExisting({ op, target }: MountOp & { target: string }, act: (fd: number) => void): void {
    try {
      const fd = openInRootIfExists(this.rootFd, target);
      if (fd !== undefined) holding(fd, act);
    } catch (error) {
      throw explain(error, op === "mask" ? `mask ${target}` : `make ${target} read-only`);
    }
  }
}

/** A copy that is as young as can be; the early one itself where the kernel copies no detached tree. */
function copyNow(op: BindOp, { fd, isCopy }: BindSource): number {
  try {
    return cloneTree(fd, "", op.recursive);
  } catch (error) {
    if (isCopy && isErrno(error, "EINVAL", "EPERM")) return fd;
    throw explain(error, `mount ${op.source} on ${op.target}`);
  }
}

/** Gives a copied tree its attributes and mounts it. */
export function attachTree(rootFd: number, op: BindOp, tree: number, own?: OwnMounts): void {
  const what = `mount on ${op.target}`;
  try {
    for (const change of op.changes) mountSetAttributes(tree, change);
  } catch (error) {
    const locked = isErrno(error, "EPERM")
      ? ": an option of the source is locked, or asks for more than a user namespace may"
      : "";
    throw explain(error, `${what} with its options`, locked);
  }
  const directory = isDirectory(statFd(tree));
  const opened = bindTarget(rootFd, op.target, { directory, own });
  holding(opened.fd, (fd) => {
    if (!opened.isOwn) guardProc(fd, op.target, () => tree);
    try {
      moveMount(tree, fd, op.target);
    } catch (cause) {
      if (isDirectory(statFd(fd)) === directory) throw explain(cause, what);
      const why = `is a directory${mixedUp("a file onto a directory")}`;
      throw new RootfsError(`${what}: ${why}`, { cause });
    }
  });
}

/** What a bind goes onto; `isOwn` when it is in a file system of ours. */
function bindTarget(
  rootFd: number,
  target: string,
  { directory, own }: { directory: boolean; own: OwnMounts | undefined },
): { readonly fd: number; readonly isOwn: boolean } {
  try {
    const made = directory ? own?.makeDirectory(target) : undefined;
    if (made !== undefined) return { fd: made, isOwn: true };
    const make = directory ? makeDirectoryInRoot : makeFileInRoot;
    return { fd: make(rootFd, target), isOwn: false };
  } catch (error) {
    if (!(error instanceof RootfsError)) throw error;
    const itself = directory && error.message === `${target} is not a directory`;
    const why = itself ? `not a directory${mixedUp("a directory onto a file")}` : error.message;
    throw new RootfsError(`mount on ${target}: ${why}`, { cause: error });
  }
}

/** Docker's question. */
const mixedUp = (what: string): string =>
  `: are you trying to mount ${what} (or vice versa)? Check that the host's path is of the expected type`;

/** The host's /dev/null, known by its number, which no image can have replaced (CVE-2025-31133). */
function openHostNull(): number {
  const fd = open("/dev/null", O.O_PATH | O.O_NOFOLLOW);
  if (isNode(statFd(fd), { type: "c", major: 1, minor: 3 })) return fd;
  close(fd);
  throw new RootfsError("/dev/null of the host is not the null device: nothing can be masked");
}

const isDirectory = ({ mode }: Stat): boolean => (mode & S_IFMT) === S_IFDIR;

function holding<T>(fd: number, act: (fd: number) => T): T {
  try {
    return act(fd);
  } finally {
    close(fd);
  }
}
