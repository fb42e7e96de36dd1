/**
 * The monitor of a container while that runs: its output goes to the log and to whoever is attached,
 * their input to the container, until its first process has ended.
 */
import { isErrno, SysError } from "../ffi/call.ts";
import {
  close,
  F_SETFL,
  fcntl,
  O,
  POLLIN,
  POLLOUT,
  type PollEntry,
  poll,
  read,
  write,
} from "../linux/fd.ts";
import { type ExitStatus, P_PIDFD, SIGNALS, waitExit } from "../linux/process.ts";
import { openPeer, setWindowSize } from "../linux/tty.ts";
import type { Resolver } from "../network/resolver.ts";
import { TAG } from "./attach_protocol.ts";
import type { HealthMonitor } from "./health_monitor.ts";
import type { LogSink, StreamName } from "./logs_writer.ts";
import { acceptClient, type MonitorClient, takeLeave } from "./monitor_client.ts";
import type { RunningContainer } from "./start.ts";

/** How much is read at once: what a pipe holds. */
const CHUNK = 65536;
/** How often it is tried again to write to a log whose disk is full, in milliseconds. */
const RETRY = 1000;

const NEVER = Number.POSITIVE_INFINITY;
/** Nothing to wait for. */
const NO_PROBE: PollEntry = { fd: -1, events: 0, revents: 0 };

/** What a session is about. */
export interface MonitorSessionOptions {
  readonly running: Pick<RunningContainer, "pidfd" | "pipes" | "console" | "resolver" | "door">;
  /** -1: nobody can come later */
  readonly listener: number;
  /** Of an executed command: it gets signals of who is attached, and SIGHUP when that is gone without a word. */
  readonly signal?: (signal: number) => void;
  readonly clients: readonly MonitorClient[];
  readonly log: LogSink;
  /** absent for a container that has no health check */
  readonly health?: HealthMonitor;
  readonly interactive: boolean;
  readonly stdinOnce: boolean;
  /** Publishes ports. @returns what there is to say when that cannot be */
  readonly publish?: (message: Uint8Array) => Uint8Array | undefined;
  /** Begins to answer questions for names. */
  readonly openResolver?: () => Resolver | undefined;
  /** Kills what the first process left behind. */
  readonly killRest: () => void;
}

interface Output {
  readonly fd: number;
  readonly stream: StreamName;
  open: boolean;
}

/** One run of a container. */
export class MonitorSession {
  readonly #options: MonitorSessionOptions;
  readonly #outputs: Output[] = [];
  #clients: MonitorClient[];
  readonly #buffer = new Uint8Array(CHUNK);
  /** Where input goes; undefined when there is nowhere, or no more. */
  #stdin: number | undefined;
  /** Input that the container has not taken yet. */
  #pendingInput = new Uint8Array(0);
  #slave: number | undefined;
  /** absent on networks without names */
  #resolver: Resolver | undefined;
  #inputIsOver = false;
  #logIsFull = false;
  #ended = false;

  constructor(options: MonitorSessionOptions) {
    this.#options = options;
    this.#clients = [...options.clients];
    const { pipes, console, resolver } = options.running;
    this.#resolver = resolver;
    if (pipes !== undefined) {
      this.#outputs.push({ fd: pipes.stdout, stream: "stdout", open: true });
      this.#outputs.push({ fd: pipes.stderr, stream: "stderr", open: true });
      this.#stdin = pipes.stdin;
    } else if (console !== undefined) {
      // With a slave of ours, the terminal outlives programs that close theirs for a moment.
      this.#slave = openPeer(console);
      this.#outputs.push({ fd: console, stream: "stdout", open: true });
      if (options.interactive) this.#stdin = console;
    }
    for (const { fd } of this.#outputs) fcntl(fd, F_SETFL, O.O_NONBLOCK);
    if (pipes?.stdin !== undefined) fcntl(pipes.stdin, F_SETFL, O.O_NONBLOCK);
  }

  /** Attends to the container until its first process has ended and all that it wrote is logged. */
  run(): ExitStatus {
    const { pidfd } = this.#options.running;
    while (!this.#step(pidfd)) {
      // one poll after the other
    }
    this.#options.health?.end();
    const status = waitExit(P_PIDFD, pidfd);
    if (status === undefined) throw new Error("waitid: the container's process is not ours");
    this.#options.killRest();
    this.#drain();
    return status;
  }

  /** One poll(2) over everything, and one step of what is ready. @returns whether the process has ended */
  #step(pidfd: number): boolean {
    const isBlocked = this.#logIsFull || this.#clients.some(({ isBehind }) => isBehind);
    const process: PollEntry = { fd: pidfd, events: POLLIN, revents: 0 };
    const listener: PollEntry = { fd: this.#options.listener, events: POLLIN, revents: 0 };
    const input: PollEntry = {
      fd: this.#pendingInput.length > 0 ? (this.#stdin ?? -1) : -1,
      events: POLLOUT,
      revents: 0,
    };
    const outputs = this.#outputs.map(({ fd, open }) => ({
      fd: open && !isBlocked ? fd : -1,
      events: POLLIN,
      revents: 0,
    }));
    const clients = this.#clients.map((client) => client.interest(this.#pendingInput.length === 0));
    const { health } = this.#options;
    const probe: PollEntry = health?.interest() ?? NO_PROBE;
    const resolver = this.#resolver;
    const questions = resolver?.entries() ?? [];
    const { door } = this.#options.running;
    const visitors = door?.entries() ?? [];
    const patience = Math.min(
      this.#logIsFull ? RETRY : NEVER,
      health?.patience ?? NEVER,
      resolver?.patience ?? NEVER,
      door?.patience ?? NEVER,
    );
    const entries = [process, listener, input, probe, ...outputs, ...clients, ...questions];
    poll([...entries, ...visitors], patience === NEVER ? -1 : patience);
    health?.step(probe);
    resolver?.step(questions);
    door?.step(visitors);
    if (this.#logIsFull) this.#logIsFull = !this.#options.log.flush();
    if (listener.revents !== 0) this.#accept();
    if (input.revents !== 0) this.#feed();
    outputs.forEach(({ revents }, index) => {
      if (revents !== 0) this.#readOutput(this.#outputs[index] as Output);
    });
    const known = [...this.#clients];
    clients.forEach(({ revents }, index) => {
      if (revents !== 0) this.#serve(known[index] as MonitorClient, revents);
    });
    this.#clients = this.#clients.filter((client) => client.isOpen);
    return process.revents !== 0;
  }

  #accept(): void {
    const client = acceptClient(this.#options.listener);
    if (client !== undefined) this.#clients.push(client);
  }

  #serve(client: MonitorClient, revents: number): void {
    if ((revents & POLLOUT) !== 0) client.flush();
    if ((revents & ~POLLOUT) === 0) return;
    const message = client.receive();
    if (message === undefined) {
      if (client.isOpen) return;
      if (client.sendsInput) this.#inputEnded();
      this.#options.signal?.(SIGNALS.SIGHUP);
      return;
    }
    if (message[0] === TAG.input) this.#takeInput(message.subarray(1));
    else if (message[0] === TAG.inputEnd) this.#inputEnded();
    else if (message[0] === TAG.size) this.#resize(message.slice(1));
    else if (message[0] === TAG.signal) this.#options.signal?.(message[1] ?? 0);
    else if (message[0] === TAG.leave) client.close();
    else if (message[0] === TAG.publish) this.#publish(client, message);
    else if (message[0] === TAG.names) this.#answerNames(client);
    else if (message[0] === TAG.begin || message[0] === TAG.cancel) client.close(); // it runs: they look again
  }

  #publish(client: MonitorClient, message: Uint8Array): void {
    client.send(this.#options.publish?.(message) ?? Uint8Array.of(TAG.publish));
    client.close();
  }

  /** It was on no network with names when it started. */
  #answerNames(client: MonitorClient): void {
    if (this.#options.openResolver !== undefined) {
      this.#resolver ??= this.#options.openResolver();
      client.send(Uint8Array.of(TAG.names));
    }
    client.close();
  }

  #takeInput(bytes: Uint8Array): void {
    if (this.#stdin === undefined) return;
    const pending = new Uint8Array(this.#pendingInput.length + bytes.length);
    pending.set(this.#pendingInput);
    pending.set(bytes, this.#pendingInput.length);
    this.#pendingInput = pending;
    this.#feed();
  }

  #feed(): void {
    if (this.#stdin === undefined) return;
    try {
      const count = write(this.#stdin, this.#pendingInput);
      this.#pendingInput = this.#pendingInput.subarray(count);
      if (this.#inputIsOver && this.#pendingInput.length === 0) this.#closeInput();
    } catch (error) {
      if (isErrno(error, "EAGAIN")) return;
      if (!(error instanceof SysError)) throw error;
      this.#closeInput(); // nobody reads it
    }
  }

  /** Of one who was attached. A terminal has no end; other input has one if it was said so when the container was made. */
  #inputEnded(): void {
    if (!this.#options.stdinOnce) return;
    this.#inputIsOver = true;
    if (this.#pendingInput.length === 0) this.#closeInput();
  }

  #closeInput(): void {
    if (this.#stdin !== undefined && this.#options.running.pipes !== undefined) close(this.#stdin);
    this.#stdin = undefined;
    this.#pendingInput = new Uint8Array(0);
  }

  #resize(size: Uint8Array): void {
    const { console } = this.#options.running;
    if (console === undefined || size.length !== 8) return;
    try {
      setWindowSize(console, size);
    } catch (error) {
      if (!isErrno(error, "EIO", "EBADF")) throw error;
    }
  }

  #readOutput(output: Output): void {
    let count = 0;
    try {
      count = read(output.fd, this.#buffer);
    } catch (error) {
      // The master of a terminal says EIO when the last slave is closed (pty(7)).
      if (!isErrno(error, "EIO", "EAGAIN")) throw error;
      if (error.code === "EAGAIN" && !this.#ended) return;
    }
    if (count === 0) {
      output.open = false;
      return;
    }
    const bytes = this.#buffer.subarray(0, count);
    const tag = output.stream === "stdout" ? TAG.output : TAG.errors;
    for (const client of this.#clients) client.sendOutput(tag, bytes);
    if (!this.#options.log.add(output.stream, bytes)) this.#logIsFull = true;
  }

  /** Nobody writes any more: what is in the pipes is all there will be, however slow those are who read it. */
  #drain(): void {
    this.#ended = true;
    if (this.#slave !== undefined) close(this.#slave);
    for (const output of this.#outputs) while (output.open) this.#readOutput(output);
    this.#options.log.finish();
    this.#closeInput();
  }

  /** Closes what belongs to the run. */
  close(): void {
    const { pipes, console, pidfd, resolver } = this.#options.running;
    if (this.#resolver !== resolver) this.#resolver?.[Symbol.dispose]();
    for (const fd of [pipes?.stdout, pipes?.stderr, console, pidfd]) {
      if (fd !== undefined) close(fd);
    }
    this.#options.log.close();
  }

  /** Tells everybody how it ended, those too who have come since; and lets them read to the end. */
  sayEnd(message: Uint8Array): void {
    takeLeave(this.#options.listener, this.#clients, message);
  }
}
