/** The container's command: found, then executed in place of this process, or as a child that it looks after. */
import { isErrno, SysError } from "../ffi/call.ts";
import { forkWithNamespaces } from "../ffi/fork.ts";
import { close, pipe, read } from "../linux/fd.ts";
import { accessExecutable } from "../linux/file.ts";
import {
  execve,
  PR_SET_PDEATHSIG,
  prctl,
  resetSignals,
  SIGNALS,
  setsid,
  stringVector,
  unblockSignals,
} from "../linux/process.ts";
import { setControllingTerminal } from "../linux/tty.ts";
import type { Entry } from "./enter.ts";
import { examine, explainExec, findExecutable, type Outlook } from "./executable.ts";
import { applyLabel, reopenLabel } from "./labels.ts";
import { tell } from "./protocol.ts";
import { reapAndForward } from "./reaper.ts";
import { applyRlimits } from "./rlimits.ts";
import { finishPrivileges } from "./security.ts";
import { StartError } from "./start_error.ts";
import { type Continuation, jump, prepareTrampoline } from "./trampoline.ts";

/** Where the command is, looked up inside the container with its privileges. @throws {StartError} */
export function findCommand({ process, user }: Entry): string {
  const found = findExecutable(process.args[0] ?? "", user.env);
  if ("problem" in found) throw new StartError(found.problem, { exitCode: found.exitCode });
  return found.path;
}

/**
 * Refuses what cannot be executed before it counts as created, as far as that can be seen: clients
 * expect it of `create`, not of `start`. @throws {StartError}
 */
export function checkCommand(path: string): void {
  const outlook = hopeful(path);
  try {
    accessExecutable(path);
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    throw failure(outlook, error);
  }
}

function hopeful(path: string): Outlook {
  const outlook = examine(path);
  if (outlook.hopeless !== true) return outlook;
  const { problem = path, exitCode } = outlook;
  throw new StartError(problem, { exitCode });
}

function failure(outlook: Outlook, error: SysError): StartError {
  const { problem, exitCode } = explainExec(outlook, error.errno);
  return new StartError(problem, { exitCode, cause: error });
}

/** Not under a filter that refuses its calls, nor with a label, with which a memory file may not be executed. */
const mayJump = ({ label, seccomp }: Entry): boolean =>
  label === undefined && seccomp?.narrow !== true;

/** How a command is executed. */
interface Execution extends Continuation {
  /** This process stays as the first one, and the command is its child. */
  readonly reaper: boolean;
}

/**
 * Has the trampoline wait for the start of the command: a process that waits is none of mydocker's
 * then, and takes next to no memory.
 * @returns when it cannot be had
 * @throws {StartError} why the command cannot be executed
 */
export function executeLater(
  path: string,
  entry: Entry,
  { socket, listener }: { socket: number; listener: number },
): void {
  const execution = { socket, listener, reaper: false };
  const trampoline = mayJump(entry) ? prepareTrampoline(execution) : undefined;
  if (trampoline !== undefined) execute(path, entry, execution, trampoline);
}

/** Tells the other side and executes the command. @throws {StartError} why it cannot be executed */
export function executeCommand(path: string, entry: Entry, execution: Execution): never {
  if (execution.reaper) becomeReaper(entry, execution.socket);
  const trampoline = mayJump(entry) ? prepareTrampoline(execution) : undefined;
  return execute(path, entry, execution, trampoline);
}

function execute(
  path: string,
  entry: Entry,
  execution: Execution,
  trampoline: number | undefined,
): never {
  const outlook = hopeful(path);
  const { socket } = execution;
  const { args } = entry.process;
  const argv = stringVector(trampoline === undefined ? args : [path, ...args]);
  const env = stringVector(entry.user.env);
  tell(socket, { kind: "exec", outlook });
  resetSignals();
  unblockSignals();
  if (entry.label !== undefined)
    applyLabel(execution.reaper ? reopenLabel(entry.label) : entry.label);
  applyRlimits(entry.process.rlimits);
  finishPrivileges(entry);
  try {
    return trampoline === undefined ? execve(path, argv, env) : jump(trampoline, argv, env);
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    throw failure(outlook, error);
  }
}

/** @throws {StartError} when the container has no room for a second process (pids.max) */
function forkCommand(): ReturnType<typeof forkWithNamespaces> {
  try {
    return forkWithNamespaces(0, {});
  } catch (error) {
    if (!isErrno(error, "EAGAIN")) throw error;
    const message =
      "a second process beside the init of --init exceeds the container's limit (--pids-limit, --ulimit nproc)";
    throw new StartError(message, { exitCode: 125, cause: error });
  }
}

/** Stays as the first process; only the child, which is to become the command, returns. */
function becomeReaper(entry: Entry, socket: number): void {
  resetSignals(); // what the caller ignores, this process would not be told of
  const isNarrow = entry.seccomp?.narrow === true; // it may not even allow close(2)
  const [confined, whenConfined] = pipe();
  const child = forkCommand();
  if (child !== undefined) {
    close(confined);
    if (isNarrow) close(socket);
    finishPrivileges(entry); // with the socket still open if that can be, to say why if it fails
    if (!isNarrow) for (const fd of [socket, whenConfined]) close(fd);
    reapAndForward(child.pid);
  }
  close(whenConfined);
  // The command is to find the first process confined as it is itself, not about to be.
  if (!isNarrow) read(confined, new Uint8Array(1));
  close(confined);
  setsid();
  if (entry.process.terminal) setControllingTerminal(0);
  if (entry.dieWithParent) prctl(PR_SET_PDEATHSIG, SIGNALS.SIGKILL);
}
