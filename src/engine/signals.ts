/** Signals that the command line passes on to the container (docker run --sig-proxy). */
import { readFile } from "../linux/file.ts";
import { SIGNALS } from "../linux/process.ts";

/**
 * What is caught: all but those that cannot be, those that mean this process alone (CHLD, PIPE,
 * URG, WINCH, the job control stops) and those that report a fault in it.
 */
const FORWARDED = [
  "SIGHUP",
  "SIGINT",
  "SIGQUIT",
  "SIGUSR1",
  "SIGUSR2",
  "SIGALRM",
  "SIGTERM",
  "SIGCONT",
  "SIGXCPU",
  "SIGVTALRM",
  "SIGIO",
  "SIGPWR",
] as const;

const ENDS_START = new Set<number>([
  SIGNALS.SIGHUP,
  SIGNALS.SIGINT,
  SIGNALS.SIGQUIT,
  SIGNALS.SIGTERM,
]);

/** Signals received since they were last taken, in order. */
export class SignalQueue implements Disposable {
  readonly #pending: number[] = [];
  readonly #handlers: [name: NodeJS.Signals, handler: () => void][] = [];
  resized = false;

  /** Starts catching. */
  constructor() {
    const ignored = signalMask(readFile("/proc/self/status"), "SigIgn");
    for (const name of FORWARDED) {
      // What the caller ignores (nohup, a shell's background job) goes on being ignored.
      if ((ignored & (1n << BigInt(SIGNALS[name] - 1))) !== 0n) continue;
      this.#on(name, () => this.#pending.push(SIGNALS[name]));
    }
    this.#on("SIGWINCH", () => {
      this.resized = true;
    });
  }

  #on(name: NodeJS.Signals, handler: () => void): void {
    process.on(name, handler);
    this.#handlers.push([name, handler]);
  }

  /** The next signal that was caught. */
  take(): number | undefined {
    return this.#pending.shift();
  }

  /** The first signal that is to end a container that has not been started yet. */
  endsStart(): number | undefined {
    return this.#pending.find((signal) => ENDS_START.has(signal));
  }

  [Symbol.dispose](): void {
    for (const [name, handler] of this.#handlers) process.off(name, handler);
    this.#handlers.length = 0;
  }
}

/** Signals whose default action ends a process (signal(7)), among those that are passed on. */
const DEADLY = new Set<number>([
  SIGNALS.SIGHUP,
  SIGNALS.SIGINT,
  SIGNALS.SIGQUIT,
  SIGNALS.SIGUSR1,
  SIGNALS.SIGUSR2,
  SIGNALS.SIGALRM,
  SIGNALS.SIGTERM,
  SIGNALS.SIGXCPU,
  SIGNALS.SIGVTALRM,
  SIGNALS.SIGIO,
  SIGNALS.SIGPWR,
]);

/**
 * Whether a signal would end this process, were it not the first one of a pid namespace: the kernel
 * drops what such a process does not handle (pid_namespaces(7)), and Ctrl-C does nothing.
 */
export function wouldEnd(pid: number, signal: number): boolean {
  if (!DEADLY.has(signal)) return false;
  const status = readFile(`/proc/${pid}/status`);
  const handled = ["SigBlk", "SigIgn", "SigCgt"].some((field) => {
    return (signalMask(status, field) & (1n << BigInt(signal - 1))) !== 0n;
  });
  return !handled;
}

/** A mask of signals in /proc/PID/status (proc_pid_status(5)); bit n-1 is signal n. */
function signalMask(status: string, field: string): bigint {
  const key = `\n${field}:\t`;
  const start = status.indexOf(key);
  if (start < 0) return 0n;
  const from = start + key.length;
  return BigInt(`0x${status.slice(from, status.indexOf("\n", from))}`);
}
