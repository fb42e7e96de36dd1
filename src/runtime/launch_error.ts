/** Why a container's first process could not be started. */
import { SysError } from "../ffi/call.ts";
import { SIGNALS } from "../linux/process.ts";
import { explainExec, type Outlook } from "./executable.ts";

/** The container's first process could not be started; nothing of it is left. */
export class LaunchError extends Error {
  override readonly name = "LaunchError";
  /** 125 for our own failure, 126 and 127 for the command's (docker run) */
  readonly exitCode: number;

  constructor(message: string, options: { exitCode: number; cause?: unknown }) {
    super(message, { cause: options.cause });
    this.exitCode = options.exitCode;
  }
}

/** The forked child hangs in the JavaScript runtime, or is kept from its work by it, and is gone now. */
export class StuckError extends Error {}

/** What an error of the trampoline's means. */
export function executionError(outlook: Outlook | undefined, errno: number): LaunchError {
  const { problem, exitCode } = explainExec(outlook ?? { subject: "exec", exitCode: 126 }, errno);
  return new LaunchError(problem, { exitCode, cause: new SysError("execve", {}, Math.abs(errno)) });
}

/** What is known of a first process that said nothing before it ended. */
export function describeDeath(signal: number | undefined): string {
  const by = Object.entries(SIGNALS).find(([, number]) => number === signal)?.[0];
  if (by === "SIGKILL") {
    return "the container's first process was killed while it was set up; its memory limit may be too low to start in";
  }
  return `the container's first process ended while it was set up${by === undefined ? "" : ` (${by})`}`;
}
