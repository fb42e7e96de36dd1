/**
 * What a process of a container gives up before its command: privileges first, then system calls.
 *
 * A filter is loaded as late as can be, right before execve(2), because everything behind it has to
 * pass it: with a strict profile of somebody's own, nothing of ours may. Without no_new_privs that
 * takes CAP_SYS_ADMIN (seccomp(2)), which is kept back for it in the permitted set only, and is gone
 * when the filter is there.
 */
import { applyCapabilities, capabilityBits, limitBounding } from "../capabilities/capabilities.ts";
import { MydockerError } from "../errors.ts";
import { isErrno } from "../ffi/call.ts";
import { close } from "../linux/fd.ts";
import { joinSessionKeyring, KEY, setKeyPermissions } from "../linux/keyring.ts";
import {
  CLONE,
  capset,
  exitNow,
  PR_SET_KEEPCAPS,
  PR_SET_NO_NEW_PRIVS,
  prctl,
  setCredentials,
  setns,
} from "../linux/process.ts";
import { SECCOMP_FILTER_FLAGS } from "../linux/seccomp.ts";
import { isNew, type NamespaceEntry } from "../namespaces/namespaces.ts";
import type { CompiledFilter } from "../seccomp/filter.ts";
import { loadFilter, prepareFilter } from "../seccomp/load.ts";
import { awaitSignal, tellUnnotified } from "./protocol.ts";
import type { Process } from "./spec.ts";

/**
 * Gives the process the container's session keyring: what the caller has in its own is not for
 * containers. One that joins a container later names the same.
 * @param id the container's
 * @throws {MydockerError} when the user may have no more keys
 */
export function enterKeyring(id: string, namespaces: readonly NamespaceEntry[]): void {
  try {
    const keyring = joinSessionKeyring(`_ses.${id}`);
    if (keyring === undefined) return; // a kernel without keyrings has nothing to hide
    // As the kernel makes it, but for who may find what is in it: root inside, whichever uid that is.
    const { KEY_POS_ALL, KEY_USR_VIEW, KEY_USR_READ, KEY_USR_LINK } = KEY;
    const search = isNew(namespaces, "user") ? KEY.KEY_OTH_SEARCH : KEY.KEY_USR_SEARCH;
    setKeyPermissions(keyring, KEY_POS_ALL | KEY_USR_VIEW | KEY_USR_READ | KEY_USR_LINK | search);
  } catch (cause) {
    if (!isErrno(cause, "EDQUOT")) throw cause;
    throw new MydockerError(
      "session keyring: the user has as many keys as /proc/sys/kernel/keys/{root_,}maxkeys allows (EDQUOT)",
      { cause },
    );
  }
}

/** Who a process runs as. */
interface Identity {
  readonly uid: number;
  readonly gid: number;
  readonly additionalGids: readonly number[];
}

/** A process that is given up its privileges. */
export interface Confined {
  readonly process: Process;
  readonly user: Identity;
  /** made before the fork; absent: no system call is filtered */
  readonly seccomp?: CompiledFilter;
  /** A descriptor of the pid namespace that its children are to be in. */
  readonly pidNamespace?: number;
}

const SYS_ADMIN = capabilityBits(["CAP_SYS_ADMIN"]);

/** The sets with which the command is executed. */
function capabilitySets({ process: { capabilities }, user }: Confined) {
  const ambient = capabilityBits(capabilities.ambient);
  const inheritable = capabilityBits(capabilities.inheritable);
  // Another user than root has no others once execve(2) is over, so finding and executing the command
  // must not be helped by them, nor may the reaper keep them, which executes nothing.
  if (user.uid !== 0) return { effective: ambient, permitted: ambient, inheritable, ambient };
  return {
    effective: capabilityBits(capabilities.effective),
    permitted: capabilityBits(capabilities.permitted),
    inheritable,
    ambient,
  };
}

/** Whether {@link finishPrivileges} takes a capability. */
const needsAdmin = ({ process, seccomp, pidNamespace }: Confined): boolean =>
  pidNamespace !== undefined || (seccomp !== undefined && !process.noNewPrivileges);

/** Whether somebody has to answer what the filter asks. */
export const notifies = ({ seccomp }: Pick<Confined, "seccomp">): boolean =>
  seccomp !== undefined &&
  (seccomp.flags & SECCOMP_FILTER_FLAGS.SECCOMP_FILTER_FLAG_NEW_LISTENER) !== 0;

/** Becomes the user, with its capabilities. {@link finishPrivileges} is to follow. */
export function dropPrivileges(confined: Confined): void {
  const { process, user } = confined;
  const sets = capabilitySets(confined);
  limitBounding(capabilityBits(process.capabilities.bounding));
  prctl(PR_SET_KEEPCAPS, 1);
  setCredentials(user.uid, user.gid, user.additionalGids);
  const kept = needsAdmin(confined) ? SYS_ADMIN : 0n;
  applyCapabilities({ ...sets, permitted: sets.permitted | kept });
  if (process.noNewPrivileges) prctl(PR_SET_NO_NEW_PRIVS, 1);
}

/**
 * Sets the pid namespace of children, loads the filter, and drops what was kept for both: the last but
 * execve(2). While the namespace is another one the kernel starts no thread, and a runtime that
 * wants one aborts (ffi/fork.ts).
 * @param listening is given the descriptor on which notifications are answered (close-on-exec), if the
 *   filter has any; until somebody does, a call that it asks about never returns
 * @throws MydockerError when the kernel refuses it
 */
export function finishPrivileges(confined: Confined, listening?: (listener: number) => void): void {
  const { seccomp, pidNamespace } = confined;
  if (seccomp === undefined && pidNamespace === undefined) return;
  const filter = seccomp === undefined ? undefined : prepareFilter(seccomp);
  const { effective, permitted, inheritable } = capabilitySets(confined);
  const isKept = needsAdmin(confined);
  if (isKept) capset(effective | SYS_ADMIN, permitted | SYS_ADMIN, inheritable);
  if (pidNamespace !== undefined) setns(pidNamespace, CLONE.CLONE_NEWPID);
  const listener = filter === undefined ? undefined : loadFilter(filter);
  if (listener !== undefined) listening?.(listener);
  if (isKept) capset(effective, permitted, inheritable);
}

/**
 * Loads a filter that notifies, before the rest of what leads to the command, and waits until the
 * creator has handed its listener over. {@link dropPrivileges} was before it.
 * @param socket to the creator
 * @returns what is still to be confined: the same without the filter; all, if nobody is notified
 */
export function finishNotified<T extends Confined>(confined: T, socket: number): T {
  if (!notifies(confined)) return confined;
  finishPrivileges(confined, (fd) => {
    tellUnnotified(socket, { kind: "listening", fd });
    if (!awaitSignal(socket, "heard")) exitNow(1);
    close(fd);
  });
  const { seccomp: _, ...rest } = confined;
  return rest as T;
}
