/**
 * ID-mapped mounts. mount_setattr(2) takes the mappings from a user namespace, so one is made for
 * them: by a child that does nothing but be in it while its maps are written, from outside, where
 * the right to map any id is (user_namespaces(7)).
 */
import { Flags, isErrno } from "../ffi/call.ts";
import { forkWithNamespaces } from "../ffi/fork.ts";
import { close, O, open, pipe, read } from "../linux/fd.ts";
import { readFile, writeControl } from "../linux/file.ts";
import { MOUNT_ATTR, mountSetAttributes } from "../linux/mount.ts";
import { CLONE, exitNow, P_PIDFD, pidfdSendSignal, SIGNALS, waitExit } from "../linux/process.ts";
import type { IdMap, IdMapping } from "./plan.ts";
import { explain } from "./rootfs_error.ts";

/** Maps the ids of a copied tree. @param what for an error @throws {RootfsError} */
export function mapIds(tree: number, map: IdMap, what: string): void {
  const step = `${what} with mapped ids`;
  let userNamespace: number;
  try {
    userNamespace = openMappedNamespace(map);
  } catch (error) {
    throw explain(error, step);
  }
  try {
    const set = MOUNT_ATTR.MOUNT_ATTR_IDMAP;
    mountSetAttributes(tree, { set, userNamespace, recursive: map.recursive });
  } catch (error) {
    const lacks = isErrno(error, "EINVAL", "EOPNOTSUPP", "ENOSYS")
      ? ": its file system, or the kernel, has no ID-mapped mounts"
      : "";
    throw explain(error, step, lacks);
  } finally {
    close(userNamespace);
  }
}

/** @returns a descriptor of a user namespace with these mappings, in which nobody is */
export function openMappedNamespace(map: Pick<IdMap, "uid" | "gid">): number {
  const [wait, end] = pipe();
  const flags = CLONE.CLONE_NEWUSER;
  const child = forkWithNamespaces(flags, { flags: new Flags(CLONE, flags) });
  if (child === undefined) {
    close(end);
    read(wait, new Uint8Array(1)); // until the other end is closed, also when its holder dies
    return exitNow(0);
  }
  try {
    const pid = pidOf(child.pidfd);
    writeControl(`/proc/${pid}/uid_map`, mapText(map.uid));
    writeControl(`/proc/${pid}/gid_map`, mapText(map.gid));
    return open(`/proc/${pid}/ns/user`, O.O_RDONLY);
  } finally {
    for (const fd of [wait, end]) close(fd);
    pidfdSendSignal(child.pidfd, SIGNALS.SIGKILL);
    waitExit(P_PIDFD, child.pidfd);
    close(child.pidfd);
  }
}

/** The number that /proc knows it by: init is in a pid namespace of its own, /proc is not (proc_pid_fdinfo(5)). */
function pidOf(pidfd: number): number {
  const info = readFile(`/proc/self/fdinfo/${pidfd}`);
  return Number(/^Pid:\t(\d+)$/m.exec(info)?.[1]);
}

/** In one write(2), as the kernel wants it. */
const mapText = (mappings: readonly IdMapping[]): string =>
  mappings.map(({ containerID, hostID, size }) => `${containerID} ${hostID} ${size}\n`).join("");
