/** Mounting a file system of the container's own. Synchronous code only. */

import { decodeBytes } from "../ffi/bytes.ts";
import { isErrno, SysError } from "../ffi/call.ts";
import { AT_FDCWD, close, fdPath, O, read } from "../linux/fd.ts";
import {
  cloneTree,
  MS,
  mount,
  mountSetAttributes,
  moveMount,
  openFileSystem,
  setFileSystemParameter,
} from "../linux/mount.ts";
import { copyTree } from "./copy_up.ts";
import type { OwnMounts } from "./own_mounts.ts";
import type { FreshOp } from "./plan.ts";
import { guardProc } from "./proc_guard.ts";
import { explain, RootfsError } from "./rootfs_error.ts";
import { makeDirectoryInRoot, openInRoot } from "./safe_path.ts";

/** Mounts it. @returns a descriptor of what was mounted, when it is to be sealed later or holds more */
export function mountFresh(rootFd: number, op: FreshOp, own: OwnMounts): number | undefined {
  // An image in which /proc or /sys is a link would have us mount them elsewhere and then trust
  // what lies at the names (CVE-2019-16884, CVE-2023-28642).
  const trusted = op.type === "proc" || op.type === "sysfs";
  const { fd: target, isOwn } = openTarget(rootFd, op.target, { trusted, own });
  try {
    if (op.type !== "proc" && !isOwn) guardProc(target, op.target);
    mountOn(target, op);
    const kept = op.sealed === true || op.holds === true;
    if (op.changes === undefined && !kept && op.copyUp !== true) return undefined;
    return finish(openInRoot(rootFd, op.target, O.O_DIRECTORY), target, op);
  } finally {
    close(target);
  }
}

/** Mounts it at a path. @throws {RootfsError} */
export function mountAt(path: string, op: FreshOp): void {
  try {
    call(path, op);
  } catch (error) {
    throw explainMount(error, op);
  }
}

const call = (path: string, { source, type, flags, data }: FreshOp): void =>
  mount(source, path, type, flags, data === "" ? undefined : data);

function mountOn(target: number, op: FreshOp): void {
  try {
    call(fdPath(target), op);
  } catch (error) {
    if (op.otherwise === undefined || !isErrno(error, "EPERM", "EBUSY", "ENODEV"))
      throw explainMount(error, op);
    bindOn(target, op, op.otherwise);
  }
}

/** What a mount gets behind mount(2). @returns the descriptor, if it is still needed */
function finish(mounted: number, target: number, op: FreshOp): number | undefined {
  let kept = false;
  try {
    if (op.copyUp === true) copyTree(target, mounted);
    for (const change of op.changes ?? []) mountSetAttributes(mounted, change);
    kept = op.sealed === true || op.holds === true;
    return kept ? mounted : undefined;
  } catch (error) {
    throw explain(error, `mount ${op.type} on ${op.target}`);
  } finally {
    if (!kept) close(mounted);
  }
}

function bindOn(target: number, op: FreshOp, source: string): void {
  const what = `mount ${op.type} on ${op.target}`;
  try {
    const tree = cloneTree(AT_FDCWD, source, true);
    try {
      // MS_RDONLY to MS_NOEXEC are the same bits as MOUNT_ATTR_RDONLY to MOUNT_ATTR_NOEXEC.
      const mask = MS.MS_RDONLY | MS.MS_NOSUID | MS.MS_NODEV | MS.MS_NOEXEC;
      const set = op.flags & mask;
      mountSetAttributes(tree, { set, propagation: MS.MS_PRIVATE, recursive: true });
      moveMount(tree, target, op.target);
    } finally {
      close(tree);
    }
  } catch (error) {
    throw explain(error, what);
  }
}

function openTarget(
  rootFd: number,
  target: string,
  { trusted, own }: { trusted: boolean; own: OwnMounts },
): { readonly fd: number; readonly isOwn: boolean } {
  try {
    const made = own.makeDirectory(target);
    if (made !== undefined) return { fd: made, isOwn: true };
    return { fd: makeDirectoryInRoot(rootFd, target, { followLinks: !trusted }), isOwn: false };
  } catch (error) {
    if (!(error instanceof RootfsError)) throw error;
    throw new RootfsError(`mount on ${target}: ${error.message}`, { cause: error });
  }
}

function explainMount(error: unknown, op: FreshOp): unknown {
  const what = `mount ${op.type} on ${op.target}`;
  if (!(error instanceof SysError)) return error;
  if (error.code === "ENODEV")
    return new RootfsError(`${what}: this kernel has no file system ${op.type}`, { cause: error });
  const refused = error.code === "EINVAL" ? refusedOption(op) : undefined;
  return refused === undefined ? explain(error, what) : new RootfsError(`${what}: ${refused}`);
}

/** Which option the file system refuses, by its own words: mount(2) has none, fsconfig(2) does. */
function refusedOption({ type, data }: FreshOp): string | undefined {
  let fd: number;
  try {
    fd = openFileSystem(type);
  } catch {
    return undefined;
  }
  try {
    for (const option of data.split(",")) {
      if (option === "") continue;
      const equals = option.indexOf("=");
      try {
        if (equals === -1) setFileSystemParameter(fd, option);
        else setFileSystemParameter(fd, option.slice(0, equals), option.slice(equals + 1));
      } catch {
        return `option ${option}: ${lastWords(fd) ?? "refused"}`;
      }
    }
    return undefined;
  } finally {
    close(fd);
  }
}

/** The kernel's message of the failure: `e tmpfs: Bad value for 'size'` (fsopen(2)). */
function lastWords(fd: number): string | undefined {
  const buffer = new Uint8Array(1024);
  try {
    const text = decodeBytes(buffer.subarray(0, read(fd, buffer)));
    return text.replace(/^[ewi] /, "").trim() || undefined;
  } catch {
    return undefined; // ENODATA: it has said nothing
  }
}
