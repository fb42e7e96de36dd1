/** One probe of a container's health: a process of its own, started by the monitor, so that nothing in the container holds that up. */
import { decodeBytes } from "../ffi/bytes.ts";
import { isErrno } from "../ffi/call.ts";
import { close, F_SETFL, fcntl, O, POLLIN, type PollEntry, poll, read } from "../linux/fd.ts";
import { P_PIDFD, pidfdSendSignal, SIGNALS, waitExit } from "../linux/process.ts";
import type { Paths } from "../paths.ts";
import { ContainerStore } from "./container_store.ts";
import { exceeded, type ProbeResult } from "./health.ts";
import { type StartedExec, startIn } from "./lifecycle_exec.ts";
import { RunningProcess } from "./lifecycle_process.ts";

/** What is kept of a probe's output, bytes (moby: maxOutputLen). */
const LONGEST_OUTPUT = 4096;

/** What to probe. */
export interface ProbeRequest {
  readonly container: string;
  readonly command: readonly string[];
  /** milliseconds */
  readonly timeout: number;
}

/**
 * Executes a probe. Its process is killed when it takes too long.
 * @param report is told as soon as the result is there, if there is one: before a process that does not end has ended
 */
export async function probe(
  paths: Paths,
  { container, command, timeout }: ProbeRequest,
  report: (result: ProbeResult) => void,
): Promise<void> {
  const Start = new Date().toISOString();
  const say = (ExitCode: number, Output: string) =>
    report({ Start, End: new Date().toISOString(), ExitCode, Output });
  let exec: StartedExec;
  try {
    exec = await startIn(paths, container, {
      args: command,
      detach: false,
      interactive: false,
      tty: false,
      privileged: false,
      env: [],
    });
  } catch (error) {
    if (runs(paths, container)) say(-1, error instanceof Error ? error.message : String(error));
    return;
  }
  const { pidfd } = exec.started;
  const output = new ProbeOutput(exec);
  const ended = watch(pidfd, output, timeout);
  if (!ended) {
    pidfdSendSignal(pidfd, SIGNALS.SIGKILL);
    const said = output.text();
    const what = exceeded(timeout);
    if (runs(paths, container)) say(-1, said === "" ? what : `${what}: ${said}`);
  }
  // Frozen, or in a file system that hangs, it may take its time.
  const code = waitExit(P_PIDFD, pidfd)?.code ?? -1;
  exec.sayEnd(code);
  if (ended) say(code, output.text());
}

/** One that is paused, or has just ended, is neither healthy nor unhealthy. */
function runs(paths: Paths, id: string): boolean {
  using process = RunningProcess.of({ paths, store: new ContainerStore(paths), id });
  return process !== undefined && !process.cgroup.frozen();
}

/** Reads what it writes, until it has ended. @returns false when it has not in time */
function watch(pidfd: number, output: ProbeOutput, timeout: number): boolean {
  for (const deadline = performance.now() + timeout; ; ) {
    const left = Math.ceil(deadline - performance.now());
    if (left <= 0) return false;
    const process: PollEntry = { fd: pidfd, events: POLLIN, revents: 0 };
    const streams = output.entries();
    poll([process, ...streams], left);
    output.take(streams);
    if (process.revents !== 0) {
      output.drain();
      return true;
    }
  }
}

/** The beginning of what a probe writes to either stream. */
class ProbeOutput {
  #open: number[];
  readonly #kept: Uint8Array[] = [];
  #room = LONGEST_OUTPUT;
  #isCut = false;
  readonly #buffer = new Uint8Array(LONGEST_OUTPUT);

  constructor({ pipes }: StartedExec) {
    this.#open = pipes === undefined ? [] : [pipes.stdout, pipes.stderr];
    for (const fd of this.#open) fcntl(fd, F_SETFL, O.O_NONBLOCK);
  }

  entries(): PollEntry[] {
    return this.#open.map((fd) => ({ fd, events: POLLIN, revents: 0 }));
  }

  /** Reads once from each stream that is ready. */
  take(entries: readonly PollEntry[]): void {
    for (const { fd, revents } of entries) if (revents !== 0) this.#read(fd);
  }

  /** Reads what the process left in its pipes; others that it started may go on writing. */
  drain(): void {
    for (const fd of [...this.#open]) {
      for (let rounds = 0; rounds < 32 && this.#open.includes(fd); rounds++) {
        if (!this.#read(fd)) break;
      }
    }
  }

  /** @returns false when there is nothing to read now */
  #read(fd: number): boolean {
    let count: number;
    try {
      count = read(fd, this.#buffer);
    } catch (error) {
      if (!isErrno(error, "EAGAIN")) throw error;
      return false;
    }
    if (count === 0) {
      close(fd);
      this.#open = this.#open.filter((each) => each !== fd);
      return false;
    }
    const kept = this.#buffer.slice(0, Math.min(count, this.#room));
    this.#kept.push(kept);
    this.#room -= kept.length;
    if (count > kept.length) this.#isCut = true;
    return true;
  }

  text(): string {
    return `${decodeBytes(Buffer.concat(this.#kept))}${this.#isCut ? "..." : ""}`;
  }
}
