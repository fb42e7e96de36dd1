/** A process that joins a container which runs: `exec`, from the fork to execve(2). */
import { Flags } from "../ffi/call.ts";
import { forkWithNamespaces } from "../ffi/fork.ts";
import { O, open } from "../linux/fd.ts";
import { writeControl } from "../linux/file.ts";
import {
  CLONE,
  exitNow,
  PR_SET_DUMPABLE,
  prctl,
  setCredentials,
  setns,
  setsid,
  umask,
} from "../linux/process.ts";
import { Procfs } from "../linux/procfs.ts";
import { enterNamespaces, ThreadsError } from "../namespaces/join.ts";
import { FLAGS, isNew } from "../namespaces/namespaces.ts";
import { openTerminal } from "../rootfs/console.ts";
import type { CompiledFilter } from "../seccomp/filter.ts";
import type { AccountRequest } from "./account.ts";
import { applyAffinity, applyAttributes } from "./attributes.ts";
import { executeCommand, findCommand } from "./command.ts";
import { abortSilently, type Entry, enterProcess, takeDescriptors } from "./enter.ts";
import type { Streams } from "./init_plan.ts";
import { openLabel } from "./labels.ts";
import { tell } from "./protocol.ts";
import { mapped, resolveUser } from "./resolve_user.ts";
import { enterKeyring, finishNotified, notifies } from "./security.ts";
import type { Linux, Process } from "./spec.ts";
import { StartError } from "./start_error.ts";

/** All that the joining process needs, computed before the fork. */
export interface JoinPlan {
  /** of the container's first process, whose namespaces are joined */
  readonly pidfd: number;
  readonly linux: Linux;
  readonly process: Process;
  /** Replaces process.user, and gives HOME, by what the container's own files say. */
  readonly account?: AccountRequest;
  readonly streams: Streams;
  /** Files of cgroups that a process joins by writing "0". */
  readonly joinFiles: readonly string[];
  readonly seccomp?: CompiledFilter;
  /** The container's id, whose session keyring it shares; absent when the container has none. */
  readonly keyring?: string;
  /**
   * A descriptor of the container's pid namespace, for a process that joins without being in it, out of
   * sight of the container's: the command is a child of the trampoline's. Absent: it becomes the
   * command itself, and was born there.
   */
  readonly pidNamespace?: number;
}

/** Whether the process is to be born in another pid namespace than its creator's. */
export const isBornInside = ({ linux, pidNamespace }: JoinPlan): boolean =>
  pidNamespace === undefined && linux.namespaces.some(({ type }) => type === "pid");

/**
 * Whether the trampoline can fork the command, from within the container's user namespace if it has
 * one (command.ts).
 */
export function mayHide(plan: JoinPlan): boolean {
  const { process, seccomp } = plan;
  const { namespaces } = plan.linux;
  if (notifies(plan)) return false; // who answers is told the command's own pid, before it is executed
  if (process.apparmorProfile !== undefined || process.selinuxLabel !== undefined) return false;
  if (!namespaces.some(({ type }) => type === "pid") || seccomp?.narrow === true) return false;
  return isNew(namespaces, "pid") || !namespaces.some(({ type }) => type === "user");
}

/** A fresh process forks the one that joins, as a child of its own creator's, and ends; never returns. */
export function forkJoined(plan: JoinPlan, socket: number): never {
  const flags = CLONE.CLONE_PARENT;
  try {
    if (isBornInside(plan)) setns(plan.pidfd, CLONE.CLONE_NEWPID);
    const child = forkWithNamespaces(flags, { flags: new Flags(CLONE, flags) });
    if (child === undefined) return runJoined(plan, socket);
    tell(socket, { kind: "forked", pid: child.pid }, child.pidfd);
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    tell(socket, { kind: "failed", message, exitCode: 125 });
  }
  return exitNow(0);
}

/** The process that joins. Synchronous code only; ends in execve(2) or _exit(2), never returns. */
export function runJoined(plan: JoinPlan, socket: number): never {
  const { namespaces } = plan.linux;
  const { pidNamespace } = plan;
  const flags = namespaces.reduce((sum, { type }) => (type === "pid" ? sum : sum | FLAGS[type]), 0);
  let channel = socket;
  try {
    abortSilently();
    umask(0);
    prctl(PR_SET_DUMPABLE, 0); // for one that is forked by a fresh process
    if (pidNamespace === undefined) setsid();
    const { initial, final } = plan.process.execCPUAffinity ?? {};
    applyAffinity(initial);
    for (const file of plan.joinFiles) writeControl(file, "0");
    applyAffinity(final);
    if (plan.keyring !== undefined) enterKeyring(plan.keyring, namespaces);
    const { oomScoreAdj } = plan.process;
    const procfs = new Procfs();
    if (oomScoreAdj !== undefined) procfs.write("self/oom_score_adj", String(oomScoreAdj));
    const opened = openLabel(plan.process, procfs);
    procfs[Symbol.dispose](); // before its number becomes another descriptor's
    const label = opened === undefined ? {} : { label: opened };
    if (flags !== 0) enterNamespaces(plan.pidfd, flags);
    if ((flags & CLONE.CLONE_NEWUSER) !== 0) setCredentials(0, 0, []);
    const kept = pidNamespace === undefined ? [channel] : [channel, pidNamespace];
    const taken = takeDescriptors({ ...enterAs(plan, channel), ...label }, kept);
    channel = taken.numbers[0] as number;
    const inherited =
      pidNamespace === undefined ? {} : { pidNamespace: taken.numbers[1] as number };
    const entry: Entry = { ...taken.entry, ...inherited };
    applyAttributes(entry.process, plan.linux);
    enterProcess(entry);
    const confined = finishNotified(entry, channel);
    const forks = pidNamespace === undefined ? {} : { forks: { terminal: plan.process.terminal } };
    executeCommand(findCommand(confined), confined, { socket: channel, reaper: false, ...forks });
  } catch (error) {
    const exitCode = error instanceof StartError ? error.exitCode : 125;
    const message = error instanceof Error ? error.message : String(error);
    const again = error instanceof ThreadsError;
    try {
      tell(channel, { kind: "failed", message, exitCode, again });
    } catch {
      // The other side is gone: nobody is left to tell.
    }
  }
  return exitNow(1);
}

function enterAs(plan: JoinPlan, channel: number): Entry {
  const { process, streams, seccomp, pidNamespace } = plan;
  const root = open("/", O.O_PATH | O.O_DIRECTORY);
  let master: number | undefined;
  if (process.terminal) {
    master = openTerminal(root);
    tell(channel, { kind: "console" }, master);
  }
  const user = resolveUser(process, plan.account, root);
  return {
    process,
    user: plan.account === undefined ? user : mapped(user, plan.linux),
    streams,
    ...(master === undefined ? {} : { master }),
    ...(seccomp === undefined ? {} : { seccomp }),
    dieWithParent: false,
    ownsTerminal: pidNamespace === undefined,
  };
}
