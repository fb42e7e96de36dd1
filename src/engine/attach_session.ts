/** One who is attached to a container in the background: its output is shown, what is typed is sent, until it ends. */
import { isErrno, SysError } from "../ffi/call.ts";
import { eventLoopDescriptor, turnEventLoop } from "../ffi/event_loop.ts";
import { POLLIN, POLLOUT, type PollEntry, poll } from "../linux/fd.ts";
import { SIGNALS } from "../linux/process.ts";
import { sendNow } from "../linux/socket.ts";
import { getWindowSize } from "../linux/tty.ts";
import type { DetachKeys } from "./attach_keys.ts";
import { type EndMessage, frame, hear, LONGEST, readJson, TAG } from "./attach_protocol.ts";
import { CallerStreams, type Writer } from "./caller_streams.ts";
import type { StreamKind } from "./run_options.ts";
import type { SignalQueue } from "./signals.ts";

/** How often we look for signals where Bun's event loop cannot be polled, in milliseconds. */
const FALLBACK_INTERVAL = 50;
/** What a pipe takes without blocking when it says that it is ready (pipe(7), PIPE_BUF). */
const PIPE_BUF = 4096;
/** How often Ctrl-C asks before it means us. */
const PATIENCE = 3;

/** What a session is about. */
export interface AttachSessionOptions {
  /** to the monitor, which knows that we are attached */
  readonly socket: number;
  readonly input: boolean;
  /** The container has a terminal. */
  readonly tty: boolean;
  readonly keys: DetachKeys;
  /** Which outputs are shown; all when absent. */
  readonly shown?: readonly StreamKind[];
  readonly signals: SignalQueue;
  /** Passes a signal on to the container's first process; absent when none is to be. */
  readonly forward?: (signal: number) => void;
  /** It is an executed command, whose signals its monitor passes on, and which ends when we just go. */
  readonly isCommand?: boolean;
}

/** How it ended. */
export type AttachEnd =
  | { readonly kind: "ended"; readonly exitCode: number }
  /** The container runs on, as far as we know. */
  | { readonly kind: "detached"; readonly byKeys: boolean }
  /** The monitor was killed. */
  | { readonly kind: "lost" };

/** Attends to a container until one of the two ends. */
export class AttachSession {
  readonly #options: AttachSessionOptions;
  readonly #streams = new CallerStreams();
  readonly #writers: Readonly<Record<number, Writer>>;
  readonly #read: ((buffer: Uint8Array) => number) | undefined;
  readonly #buffer = new Uint8Array(LONGEST);
  /** Messages for the monitor that it has not taken yet. */
  readonly #outbox: Uint8Array[] = [];
  /** Output that is still to be shown. */
  #pending: { readonly writer: Writer; bytes: Uint8Array } | undefined;
  readonly #showsNothing: boolean;
  #readsInput: boolean;
  #asked = 0;
  #end: AttachEnd | undefined;

  constructor(options: AttachSessionOptions) {
    this.#options = options;
    const { shown } = options;
    const writer = (stream: StreamKind, fd: number) =>
      shown?.includes(stream) === false ? this.#streams.nowhere() : this.#streams.writer(fd);
    this.#writers = {
      [TAG.output]: writer("stdout", 1),
      [TAG.errors]: writer("stderr", 2),
    };
    this.#showsNothing = shown !== undefined && !shown.some((stream) => stream !== "stdin");
    this.#readsInput = options.input;
    if (options.input) this.#read = this.#streams.reader();
    if (options.tty) this.#sayResize();
  }

  async run(): Promise<AttachEnd> {
    while (this.#end === undefined) {
      if (this.#wait()) await turnEventLoop();
      this.#passSignals();
    }
    return this.#end;
  }

  /** One poll(2), and one step of what is ready. @returns whether Bun's event loop has something to do */
  #wait(): boolean {
    const loop: PollEntry = { fd: eventLoopDescriptor() ?? -1, events: POLLIN, revents: 0 };
    const isSending = this.#outbox.length > 0;
    const monitor: PollEntry = {
      fd: this.#options.socket,
      events: (this.#pending === undefined ? POLLIN : 0) | (isSending ? POLLOUT : 0),
      revents: 0,
    };
    const input: PollEntry = {
      fd: this.#readsInput && !isSending ? 0 : -1,
      events: POLLIN,
      revents: 0,
    };
    const output: PollEntry = { fd: this.#pending?.writer.fd ?? -1, events: POLLOUT, revents: 0 };
    // The end of the monitor would be ready all the time while we wait to be rid of its output.
    const isDeaf = monitor.events === 0;
    const watched = isDeaf ? [loop, input, output] : [loop, input, output, monitor];
    poll(watched, loop.fd === -1 ? FALLBACK_INTERVAL : -1);
    if (output.revents !== 0) this.#show();
    if ((monitor.revents & POLLOUT) !== 0) this.#flush();
    if ((monitor.revents & ~POLLOUT) !== 0 && this.#pending === undefined) this.#hear();
    if (input.revents !== 0) this.#takeInput();
    return loop.fd === -1 || loop.revents !== 0;
  }

  #hear(): void {
    const message = hear(this.#options.socket);
    if (message === undefined) {
      this.#end ??= { kind: "lost" };
      return;
    }
    const tag = message[0] as number;
    if (tag === TAG.ended) {
      this.#end ??= { kind: "ended", exitCode: readJson<EndMessage>(message).exitCode };
    }
    const writer = this.#writers[tag];
    if (writer === undefined) return;
    this.#pending = { writer, bytes: message.subarray(1) };
    if (!writer.blocks) this.#show();
  }

  #show(): void {
    if (this.#pending === undefined) return;
    const { writer, bytes } = this.#pending;
    try {
      const count = writer.write(writer.blocks ? bytes.subarray(0, PIPE_BUF) : bytes);
      this.#pending = count === bytes.length ? undefined : { writer, bytes: bytes.subarray(count) };
    } catch (error) {
      if (isErrno(error, "EAGAIN")) return;
      if (!(error instanceof SysError)) throw error;
      this.#pending = undefined;
      this.#end ??= { kind: "detached", byKeys: false }; // nobody reads what we show
    }
  }

  #takeInput(): void {
    let count = 0;
    try {
      count = this.#read?.(this.#buffer) ?? 0;
    } catch (error) {
      if (isErrno(error, "EAGAIN")) return;
      if (!(error instanceof SysError)) throw error;
    }
    if (count === 0) {
      this.#readsInput = false;
      // The end of a terminal is its loss.
      if (this.#options.tty) this.#end ??= { kind: "detached", byKeys: false };
      else this.#say(frame(TAG.inputEnd));
      if (this.#showsNothing) this.#end ??= { kind: "detached", byKeys: false };
      return;
    }
    const { passed, detached } = this.#options.keys.filter(this.#buffer.subarray(0, count));
    if (passed.length > 0) this.#say(frame(TAG.input, passed));
    if (!detached) return;
    if (this.#options.isCommand === true) this.#say(frame(TAG.leave));
    this.#end ??= { kind: "detached", byKeys: true };
  }

  #say(message: Uint8Array): void {
    this.#outbox.push(message);
    this.#flush();
  }

  #flush(): void {
    try {
      for (let next = this.#outbox[0]; next !== undefined; next = this.#outbox[0]) {
        sendNow(this.#options.socket, next);
        this.#outbox.shift();
      }
    } catch (error) {
      if (isErrno(error, "EAGAIN", "ENOBUFS")) return;
      if (!(error instanceof SysError)) throw error;
      this.#outbox.length = 0; // it has ended, and what it said last is to be read
      this.#readsInput = false;
    }
  }

  #sayResize(): void {
    const size = getWindowSize(0) ?? getWindowSize(1);
    if (size !== undefined) this.#say(frame(TAG.size, size));
  }

  #passSignals(): void {
    const { signals, tty, isCommand } = this.#options;
    const tell = (signal: number) => this.#say(frame(TAG.signal, Uint8Array.of(signal)));
    const forward = isCommand === true ? tell : this.#options.forward;
    if (signals.resized) {
      signals.resized = false;
      if (tty) this.#sayResize();
    }
    for (let signal = signals.take(); signal !== undefined; signal = signals.take()) {
      if (signal === SIGNALS.SIGINT) this.#asked++;
      // A terminal that is lost, or a caller who insists, means us.
      const isOurs = signal === SIGNALS.SIGHUP || this.#asked >= PATIENCE;
      if (forward === undefined || isOurs) this.#end ??= { kind: "detached", byKeys: false };
      else forward(signal);
    }
  }
}
