/**
 * A container in the foreground: its input and output are copied, signals are passed on, until its
 * first process has ended.
 */

import { isErrno, SysError } from "../ffi/call.ts";
import { eventLoopDescriptor, turnEventLoop } from "../ffi/event_loop.ts";
import {
  close,
  F_SETFL,
  fcntl,
  fdPath,
  O,
  open,
  POLLIN,
  type PollEntry,
  poll,
} from "../linux/fd.ts";
import { ifExists, S_IFIFO, S_IFMT, S_IFREG, statFd } from "../linux/file.ts";
import { type ExitStatus, P_PIDFD, pidfdSendSignal, SIGNALS, waitExit } from "../linux/process.ts";
import { getWindowSize, isTerminal, openPeer, setWindowSize } from "../linux/tty.ts";
import type { Started } from "../runtime/launch.ts";
import { Pump } from "./pump.ts";
import { type SignalQueue, wouldEnd } from "./signals.ts";

/** How long a container may go on when its terminal is lost, or a signal was sent, in milliseconds. */
const GRACE = 10_000;
/** How often Ctrl-C or SIGTERM asks before it insists. */
const PATIENCE = 3;
/** How often we look for signals where Bun's event loop cannot be polled, in milliseconds. */
const FALLBACK_INTERVAL = 50;

/** The ends of a container's standard streams that are ours; absent with a terminal. */
export interface Pipes {
  /** absent without `-i` */
  readonly stdin?: number;
  readonly stdout: number;
  readonly stderr: number;
}

/** A container that runs, and what is to be done for it. */
export interface ForegroundOptions {
  readonly started: Started;
  readonly pipes?: Pipes;
  /** Copy our standard input. */
  readonly interactive: boolean;
  readonly signals: SignalQueue;
  readonly proxySignals: boolean;
  /** Its first process is that of a new pid namespace, which ignores what it does not handle. */
  readonly ownPidNamespace: boolean;
  /** Kills what the first process left behind. */
  readonly killRest: () => void;
}

/** Copies and passes on until the end. @returns how the first process ended */
export async function superviseForeground(options: ForegroundOptions): Promise<ExitStatus> {
  const session = new ForegroundSession(options);
  try {
    return await session.run();
  } finally {
    session.close();
  }
}

class ForegroundSession {
  readonly #options: ForegroundOptions;
  readonly #outputs: Pump[] = [];
  #input: Pump | undefined;
  readonly #opened: number[] = [];
  #slave: number | undefined;
  #insisted = 0;
  #deadline: number | undefined;
  /** The signal in whose name we killed. */
  #endedBy: number | undefined;

  constructor(options: ForegroundOptions) {
    this.#options = options;
    const { started, pipes, interactive } = options;
    if (pipes !== undefined) {
      this.#outputs.push(this.#output(pipes.stdout, 1), this.#output(pipes.stderr, 2));
      if (pipes.stdin !== undefined) this.#input = this.#inputTo(pipes.stdin, true);
    } else if (started.console !== undefined) {
      // With a slave of ours, the terminal outlives programs that close theirs for a moment.
      this.#slave = openPeer(started.console);
      this.#outputs.push(this.#output(started.console, 1));
      if (interactive) this.#input = this.#inputTo(started.console, false);
    }
  }

  #output(source: number, fd: number): Pump {
    const { sink, sinkBlocks } = this.#withoutBlocking(fd);
    return new Pump({ source, sink, closeSource: true, closeSink: false, sinkBlocks });
  }

  /** @param sink ours alone, so it can be told not to block */
  #inputTo(sink: number, closeSink: boolean): Pump {
    fcntl(sink, F_SETFL, O.O_NONBLOCK);
    return new Pump({ source: 0, sink, closeSource: false, closeSink, sinkBlocks: false });
  }

  /**
   * A description of our own of the same pipe or terminal: O_NONBLOCK on the one we were given would
   * be seen by everybody who shares it, the caller's shell for instance.
   */
  #withoutBlocking(fd: number): { sink: number; sinkBlocks: boolean } {
    const kind = (ifExists(() => statFd(fd))?.mode ?? 0) & S_IFMT;
    // A file never blocks, and another description would write at an offset of its own.
    if (kind === S_IFREG) return { sink: fd, sinkBlocks: false };
    if (kind !== S_IFIFO && !isTerminal(fd)) return { sink: fd, sinkBlocks: true };
    try {
      const own = open(fdPath(fd), O.O_WRONLY | O.O_NONBLOCK | O.O_NOCTTY);
      this.#opened.push(own);
      return { sink: own, sinkBlocks: false };
    } catch (error) {
      if (!(error instanceof SysError)) throw error;
      return { sink: fd, sinkBlocks: true }; // not ours to open
    }
  }

  async run(): Promise<ExitStatus> {
    const { started, killRest } = this.#options;
    let status: ExitStatus | undefined;
    for (;;) {
      const { ended, loopReady } = this.#wait(status === undefined ? started.pidfd : undefined);
      if (ended) {
        status = waitExit(P_PIDFD, started.pidfd);
        killRest();
        this.#beginDrain();
      }
      if (loopReady) await turnEventLoop();
      if (status === undefined) {
        this.#passSignals();
      } else if (this.#outputs.every((pump) => pump.done) || this.#options.signals.take()) {
        break; // all is written, or nobody wants to wait for a reader that does not read
      }
    }
    const by = this.#endedBy;
    return by !== undefined && status.signal === SIGNALS.SIGKILL
      ? { code: 128 + by, signal: by }
      : status;
  }

  /** One poll(2) over everything, and one step of what is ready. */
  #wait(pidfd: number | undefined): { ended: boolean; loopReady: boolean } {
    const process: PollEntry = { fd: pidfd ?? -1, events: POLLIN, revents: 0 };
    const loop: PollEntry = { fd: eventLoopDescriptor() ?? -1, events: POLLIN, revents: 0 };
    const pumps = [this.#input, ...this.#outputs].filter((pump) => pump?.done === false) as Pump[];
    const interests = pumps.map((pump) => pump.interest());
    // Somebody outside may hold a pipe open that nobody in the container writes to any more.
    const leftover = pidfd === undefined && this.#options.pipes !== undefined;
    const now = leftover && interests.some(({ events }) => events === POLLIN);
    poll([process, loop, ...interests], now ? 0 : this.#timeout(loop.fd === -1));
    interests.forEach(({ revents, events }, index) => {
      if (revents !== 0 || (leftover && events === POLLIN)) (pumps[index] as Pump).step();
    });
    if (this.#input?.sourceEnded === true) this.#inputEnded();
    if (this.#deadline !== undefined && Date.now() >= this.#deadline) this.#kill();
    return { ended: process.revents !== 0, loopReady: loop.fd === -1 || loop.revents !== 0 };
  }

  #timeout(looking: boolean): number {
    const left = this.#deadline === undefined ? -1 : Math.max(0, this.#deadline - Date.now());
    if (!looking) return left;
    return left === -1 ? FALLBACK_INTERVAL : Math.min(left, FALLBACK_INTERVAL);
  }

  /** The end of a terminal is its loss. */
  #inputEnded(): void {
    this.#input = undefined;
    if (this.#options.pipes === undefined && isTerminal(0) === false) this.#hangUp();
  }

  #hangUp(): void {
    this.#deadline ??= Date.now() + GRACE;
    this.#forward(SIGNALS.SIGHUP);
  }

  #passSignals(): void {
    const { signals, started, proxySignals } = this.#options;
    if (signals.resized) {
      signals.resized = false;
      const size = getWindowSize(0) ?? getWindowSize(1);
      if (started.console !== undefined && size !== undefined) setSize(started.console, size);
    }
    for (let signal = signals.take(); signal !== undefined; signal = signals.take()) {
      if (signal === SIGNALS.SIGHUP) this.#hangUp();
      else if (proxySignals) this.#forward(signal);
      if (signal === SIGNALS.SIGINT || signal === SIGNALS.SIGTERM) this.#insisted++;
      if (this.#insisted >= PATIENCE) this.#kill();
    }
  }

  #forward(signal: number): void {
    const { started, ownPidNamespace } = this.#options;
    try {
      if (ownPidNamespace && wouldEnd(started.pid, signal)) {
        this.#endedBy ??= signal;
        this.#kill();
      } else {
        pidfdSendSignal(started.pidfd, signal);
      }
    } catch (error) {
      if (!isErrno(error, "ESRCH", "ENOENT")) throw error; // it has just ended
    }
  }

  #kill(): void {
    this.#deadline = undefined;
    try {
      pidfdSendSignal(this.#options.started.pidfd, SIGNALS.SIGKILL);
    } catch (error) {
      if (!isErrno(error, "ESRCH")) throw error;
    }
  }

  /** Nobody writes any more: what is in the pipes is all there will be, however slow our reader is. */
  #beginDrain(): void {
    this.#input?.end();
    this.#input = undefined;
    this.#deadline = undefined;
    if (this.#slave !== undefined) close(this.#slave);
    this.#slave = undefined;
    // A terminal is read to its end instead: what was written last may still be on its way to the master.
    if (this.#options.pipes !== undefined) {
      for (const pump of this.#outputs) pump.limitToWhatIsThere();
    }
  }

  close(): void {
    this.#input?.end();
    for (const pump of this.#outputs) pump.end();
    if (this.#slave !== undefined) close(this.#slave);
    for (const fd of this.#opened) close(fd);
  }
}

function setSize(console: number, size: Uint8Array): void {
  try {
    setWindowSize(console, size);
  } catch (error) {
    if (!isErrno(error, "EIO", "EBADF")) throw error;
  }
}
