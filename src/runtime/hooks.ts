/** Hooks of the OCI runtime specification 1.3 (config.md, "POSIX-platform Hooks"): programs run around a container's life. */
import { decodeBytes, encodeBytes } from "../ffi/bytes.ts";
import { isErrno } from "../ffi/call.ts";
import { close, memfdCreate, POLLIN, poll, seek, writeAll } from "../linux/fd.ts";
import { readFileBytes } from "../linux/file.ts";
import { kill, P_PIDFD, pidfdOpen, SIGNALS, waitExit } from "../linux/process.ts";
import { spawnProgram } from "../linux/spawn.ts";
import type { Hook } from "./spec.ts";

/** A hook failed, and with it what it was run for. */
export class HookError extends Error {}

const ownEnvironment = (): string[] =>
  Object.entries(process.env).map(([name, value]) => `${name}=${value}`);

/** Characters of a hook's standard error that its failure is reported with. */
const TOLD = 2000;

/**
 * Runs hooks one after the other, with the container's state on their standard input. One
 * that cannot be run, or ends with another code than 0 or not in time, has failed.
 * @param place where in the configuration they stand: `prestart`, `poststop` …
 * @param state JSON (runtime.md, "State")
 * @param failed is told of each that fails; without it the first that does is the last
 * @throws {HookError} at the first that fails, unless `failed` is told
 */
export function runHooks(
  place: string,
  hooks: readonly Hook[],
  state: string,
  failed: (error: HookError) => void = (error) => {
    throw error;
  },
): void {
  hooks.forEach((hook, index) => {
    try {
      runHook(`${place} hook ${index} (${hook.path})`, hook, state);
    } catch (error) {
      if (!(error instanceof HookError)) throw error;
      failed(error);
    }
  });
}

function runHook(name: string, hook: Hook, state: string): void {
  const stdin = memfdCreate("state");
  const stderr = memfdCreate("stderr");
  try {
    writeAll(stdin, encodeBytes(state));
    seek(stdin, 0);
    const argv = hook.args.length === 0 ? [hook.path] : hook.args;
    const env = hook.env ?? ownEnvironment();
    const pid = start(name, { path: hook.path, argv, env, stdin, stderr });
    const problem = awaitEnd(pid, hook.timeout);
    if (problem !== undefined) {
      const said = decodeBytes(readFileBytes(`/proc/self/fd/${stderr}`))
        .trim()
        .slice(0, TOLD);
      throw new HookError(`${name}: ${problem}${said === "" ? "" : `: ${said}`}`);
    }
  } finally {
    close(stdin);
    close(stderr);
  }
}

function start(name: string, program: Parameters<typeof spawnProgram>[0]): number {
  try {
    return spawnProgram(program);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new HookError(`${name}: ${why}`, { cause: error });
  }
}

/** @param timeout seconds. @returns what is wrong with how it ended */
function awaitEnd(pid: number, timeout: number | undefined): string | undefined {
  const pidfd = pidfdOpen(pid);
  try {
    const late = timeout !== undefined && !endsWithin(pidfd, timeout * 1000);
    if (late) kill(-pid, SIGNALS.SIGKILL); // with what it has started: its process group
    const status = waitExit(P_PIDFD, pidfd);
    if (late) return `not ended after ${timeout} s`;
    if (status?.signal !== undefined) return `killed by signal ${status.signal}`;
    return status === undefined || status.code === 0 ? undefined : `exit code ${status.code}`;
  } catch (error) {
    if (isErrno(error, "ECHILD")) return undefined; // whoever started us ignores SIGCHLD
    throw error;
  } finally {
    close(pidfd);
  }
}

/** Whether a process ends in time. poll(2) may be woken earlier by a signal. */
function endsWithin(pidfd: number, milliseconds: number): boolean {
  const deadline = performance.now() + milliseconds;
  for (;;) {
    const rest = Math.ceil(deadline - performance.now());
    if (rest <= 0) return false;
    if (poll([{ fd: pidfd, events: POLLIN, revents: 0 }], rest) > 0) return true;
  }
}

/** The state that hooks are told, once the container has a first process. */
export function stateWithPid(state: string, pid: number): string {
  return JSON.stringify({ ...JSON.parse(state), pid });
}
