/** The container's command: found, then executed in place of this process, or as a child that it looks after. */
import { SysError } from "../ffi/call.ts";
import { E } from "../ffi/errno.ts";
import { forkWithNamespaces } from "../ffi/fork.ts";
import { close } from "../linux/fd.ts";
import { accessExecutable, S_IFDIR, S_IFMT, statIfExists } from "../linux/file.ts";
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
import { explainExec, findExecutable, isOwnExecutable } from "./executable.ts";
import { applyLabel, reopenLabel } from "./labels.ts";
import { tell } from "./protocol.ts";
import { reapAndForward } from "./reaper.ts";
import { applyRlimits } from "./rlimits.ts";
import { loadSeccomp } from "./security.ts";
import { StartError } from "./start_error.ts";

/** Where the command is, looked up inside the container with its privileges. @throws {StartError} */
export function findCommand({ process, user }: Entry): string {
  const found = findExecutable(process.args[0] ?? "", user.env);
  if ("problem" in found) throw new StartError(found.problem, { exitCode: found.exitCode });
  if (isOwnExecutable(found.path)) {
    const message = `exec ${found.path}: permission denied: it leads to mydocker itself`;
    throw new StartError(message, { exitCode: 126 });
  }
  return found.path;
}

/**
 * Refuses what cannot be executed before it counts as created, as far as that can be seen: clients
 * expect it of `create`, not of `start`. @throws {StartError}
 */
export function checkCommand(path: string): void {
  try {
    accessExecutable(path);
    const isDirectory = ((statIfExists(path)?.mode ?? 0) & S_IFMT) === S_IFDIR;
    if (isDirectory) throw new SysError("execve", { path }, E.EACCES);
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    const { problem, exitCode } = explainExec(path, error);
    throw new StartError(problem, { exitCode, cause: error });
  }
}

/** Tells the other side and executes the command. @throws {StartError} why it cannot be executed */
export function executeCommand(
  path: string,
  entry: Entry,
  { socket, reaper }: { socket: number; reaper: boolean },
): never {
  const argv = stringVector(entry.process.args);
  const env = stringVector(entry.user.env);
  if (reaper) becomeReaper(entry, socket);
  tell(socket, { kind: "exec" });
  resetSignals();
  unblockSignals();
  if (entry.label !== undefined) applyLabel(reaper ? reopenLabel(entry.label) : entry.label);
  applyRlimits(entry.process.rlimits);
  loadSeccomp(entry);
  try {
    return execve(path, argv, env);
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    close(0); // a descriptor to look at the file with, whatever the limit
    const { problem, exitCode } = explainExec(path, error);
    throw new StartError(problem, { exitCode, cause: error });
  }
}

/** Stays as the first process; only the child, which is to become the command, returns. */
function becomeReaper(entry: Entry, socket: number): void {
  resetSignals(); // what the caller ignores, this process would not be told of
  const child = forkWithNamespaces(0, {});
  if (child !== undefined) {
    close(socket);
    loadSeccomp(entry);
    reapAndForward(child.pid);
  }
  setsid();
  if (entry.process.terminal) setControllingTerminal(0);
  if (entry.dieWithParent) prctl(PR_SET_PDEATHSIG, SIGNALS.SIGKILL);
}
