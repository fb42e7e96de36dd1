/**
 * A container in the foreground: its input and output are copied, signals are passed on, until its
 * first process has ended.
 */

import { isErrno, type SysError } from "../ffi/call.ts";
import { errnoText } from "../ffi/errno.ts";
import { eventLoopDescriptor, turnEventLoop } from "../ffi/event_loop.ts";
import { close, F_SETFL, fcntl, O, POLLIN, type PollEntry, poll } from "../linux/fd.ts";
import { type ExitStatus, P_PIDFD, pidfdSendSignal, SIGNALS, waitExit } from "../linux/process.ts";
import {
  foregroundGroup,
  getWindowSize,
  isTerminal,
  openPeer,
  setWindowSize,
  signalCharacters,
} from "../linux/tty.ts";
import { log } from "../log.ts";
import type { PortDoor } from "../network/door.ts";
import type { Started } from "../runtime/launch.ts";
import { CallerStreams } from "./caller_streams.ts";
import type { ForegroundLog } from "./logs_foreground.ts";
import { Pump } from "./pump.ts";
import type { StreamKind } from "./run_options.ts";
import { type SignalQueue, wouldEnd } from "./signals.ts";

/** How long a container may go on when its terminal is lost, or a signal was sent, in milliseconds. */
const GRACE = 10_000;
/** How often Ctrl-C or SIGTERM asks before it insists. */
const PATIENCE = 3;
/** How often we look for signals where Bun's event loop cannot be polled, in milliseconds. */
const FALLBACK_INTERVAL = 50;

/** What write(2) says when there is no reader, or no stream. */
const NOBODY_READS: readonly string[] = ["EPIPE", "ECONNRESET", "ENXIO", "EBADF"];

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
  /** Which outputs the caller is shown; all when absent. */
  readonly attach?: readonly StreamKind[];
  readonly signals: SignalQueue;
  readonly proxySignals: boolean;
  /** Its first process is that of a new pid namespace, which ignores what it does not handle. */
  readonly ownPidNamespace: boolean;
  /** Kills what the first process left behind. */
  readonly killRest: () => void;
  /** Gets the output, too. */
  readonly log?: ForegroundLog;
  /** Who comes to its published ports. */
  readonly door?: PortDoor;
}

/** How a container in the foreground ended. */
export interface ForegroundEnd extends ExitStatus {
  /** What it wrote could not all be passed on, as was said. */
  readonly outputLost: boolean;
}

/** Copies and passes on until the end. */
export async function superviseForeground(options: ForegroundOptions): Promise<ForegroundEnd> {
  const session = new ForegroundSession(options);
  try {
    return await session.run();
  } finally {
    session.close();
  }
}

class ForegroundSession {
  readonly #options: ForegroundOptions;
  readonly #streams = new CallerStreams();
  readonly #outputs: Pump[] = [];
  #input: Pump | undefined;
  #slave: number | undefined;
  /** The caller's terminals, until one of them is lost. */
  #terminals: readonly number[] = [];
  readonly #shownOnTerminal: boolean[] = [];
  #outputLost = false;
  #insisted = 0;
  #deadline: number | undefined;
  /** The signal in whose name we killed. */
  #endedBy: number | undefined;

  constructor(options: ForegroundOptions) {
    this.#options = options;
    const { started, pipes, interactive } = options;
    if (pipes !== undefined) {
      this.#outputs.push(this.#output(pipes.stdout, 1), this.#output(pipes.stderr, 2));
      if (pipes.stdin !== undefined && interactive) this.#input = this.#inputTo(pipes.stdin);
    } else if (started.console !== undefined) {
      // With a slave of ours, the terminal outlives programs that close theirs for a moment.
      this.#slave = openPeer(started.console);
      this.#terminals = [0, 1].filter(isTerminal);
      this.#outputs.push(this.#output(started.console, 1));
      if (interactive) this.#input = this.#inputTo(started.console);
    }
  }

  #output(source: number, fd: number): Pump {
    const stream = fd === 2 ? "stderr" : "stdout";
    const { attach, log, pipes } = this.#options;
    const isShown = attach === undefined || attach.includes(stream);
    const writer = isShown ? this.#streams.writer(fd) : this.#streams.nowhere();
    const { fd: sink, write, blocks: sinkBlocks, isTerminal } = writer;
    this.#shownOnTerminal.push(isTerminal);
    const closeSource = pipes !== undefined;
    const onRead = log === undefined ? {} : { onRead: (b: Uint8Array) => log.add(stream, b) };
    return new Pump({ source, sink, closeSource, closeSink: false, sinkBlocks, write, ...onRead });
  }

  /** @param sink ours alone, so it can be told not to block */
  #inputTo(sink: number): Pump {
    fcntl(sink, F_SETFL, O.O_NONBLOCK);
    const isPipe = this.#options.pipes !== undefined;
    return new Pump({
      source: 0,
      sink,
      closeSource: false,
      closeSink: isPipe,
      sinkBlocks: false,
      read: this.#streams.reader(),
      ...(isPipe ? {} : { onRead: (bytes: Uint8Array) => this.#typed(bytes) }),
    });
  }

  async run(): Promise<ForegroundEnd> {
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
      } else if (!this.#outputs.some((pump) => !pump.done) || this.#options.signals.take()) {
        break; // all is written, or nobody wants to wait for a reader that does not read
      }
    }
    const by = this.#endedBy;
    const killed = by !== undefined && status.signal === SIGNALS.SIGKILL;
    return {
      ...(killed ? { code: 128 + by, signal: by } : status),
      outputLost: this.#outputLost,
    };
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
    const terminals = this.#terminals.map((fd) => ({ fd, events: 0, revents: 0 }));
    const { door } = this.#options;
    const visitors = door?.entries() ?? [];
    const timeout = now ? 0 : this.#timeout(loop.fd === -1, door?.patience);
    poll([process, loop, ...interests, ...terminals, ...visitors], timeout);
    door?.step(visitors);
    for (const [index, { revents, events }] of interests.entries()) {
      if (revents !== 0 || (leftover && events === POLLIN)) (pumps[index] as Pump).step();
    }
    if (this.#input?.done === true) this.#inputEnded(this.#input);
    for (const [index, pump] of this.#outputs.entries()) {
      if (pump.sinkError !== undefined) this.#outputFailed(pump, pump.sinkError, index);
    }
    if (terminals.some(({ revents }) => revents !== 0)) this.#terminalLost(); // POLLHUP, which needs no asking
    if (this.#deadline !== undefined && Date.now() >= this.#deadline) this.#kill();
    return { ended: process.revents !== 0, loopReady: loop.fd === -1 || loop.revents !== 0 };
  }

  #timeout(looking: boolean, patience = Number.POSITIVE_INFINITY): number {
    const left = this.#deadline === undefined ? patience : Math.max(0, this.#deadline - Date.now());
    const timeout = Math.min(left, patience, looking ? FALLBACK_INTERVAL : patience);
    return timeout === Number.POSITIVE_INFINITY ? -1 : timeout;
  }

  /** The end of a terminal is its loss. */
  #inputEnded(input: Pump): void {
    this.#input = undefined;
    if (input.sourceEnded && this.#options.pipes === undefined && !isTerminal(0))
      this.#terminalLost();
  }

  /** Nobody reads any more: the container's pipe is closed, as in a shell's pipeline. Anything else is said. */
  #outputFailed(pump: Pump, { code, errno }: SysError, index: number): void {
    pump.sinkError = undefined;
    if (this.#options.pipes === undefined) this.#terminalLost();
    const isLoss = code === "EIO" && this.#shownOnTerminal[index] === true;
    if (isLoss || NOBODY_READS.includes(code)) return;
    this.#outputLost = true;
    const name = index === 0 ? "standard output" : "standard error";
    log.error(`cannot write to ${name}: ${errnoText(errno)}`);
  }

  /** What reports it may come before or after the SIGHUP that it sends, or without one. */
  #terminalLost(): void {
    this.#terminals = [];
    if (this.#deadline === undefined) this.#hangUp();
  }

  #hangUp(): void {
    this.#terminals = [];
    this.#deadline ??= Date.now() + GRACE;
    this.#forward(SIGNALS.SIGHUP);
  }

  /**
   * Ctrl-C and Ctrl-\ mean a signal to who is in the foreground of the container's terminal. Its
   * kernel drops one that the first process does not handle, and there would be no way out.
   */
  #typed(bytes: Uint8Array): void {
    const { started, ownPidNamespace } = this.#options;
    if (!ownPidNamespace || started.console === undefined) return;
    const characters = signalCharacters(started.console);
    if (characters === undefined) return;
    const { interrupt, quit } = characters;
    const signal = bytes.includes(interrupt)
      ? SIGNALS.SIGINT
      : bytes.includes(quit)
        ? SIGNALS.SIGQUIT
        : undefined;
    if (signal === undefined || foregroundGroup(started.console) !== started.pid) return;
    this.#endUnlessHandled(signal);
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
    if (ownPidNamespace && this.#endUnlessHandled(signal)) return;
    this.#unlessEnded(() => pidfdSendSignal(started.pidfd, signal));
  }

  /** Kills the first process if this signal would end it, were it not the first. @returns whether it did */
  #endUnlessHandled(signal: number): boolean {
    let ends = false;
    this.#unlessEnded(() => {
      ends = wouldEnd(this.#options.started.pid, signal);
    });
    if (!ends) return false;
    this.#endedBy ??= signal;
    this.#kill();
    return true;
  }

  #unlessEnded(act: () => void): void {
    try {
      act();
    } catch (error) {
      if (!isErrno(error, "ESRCH", "ENOENT")) throw error; // it has just ended
    }
  }

  #kill(): void {
    this.#deadline = undefined;
    this.#unlessEnded(() => pidfdSendSignal(this.#options.started.pidfd, SIGNALS.SIGKILL));
  }

  /** Nobody writes any more: what is in the pipes is all there will be, however slow our reader is. */
  #beginDrain(): void {
    this.#input?.end();
    this.#input = undefined;
    this.#deadline = undefined;
    this.#terminals = [];
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
    this.#options.log?.close();
    const { console } = this.#options.started;
    for (const fd of [this.#slave, console, ...this.#streams.opened]) {
      if (fd !== undefined) close(fd);
    }
  }
}

function setSize(console: number, size: Uint8Array): void {
  try {
    setWindowSize(console, size);
  } catch (error) {
    if (!isErrno(error, "EIO", "EBADF")) throw error;
  }
}
