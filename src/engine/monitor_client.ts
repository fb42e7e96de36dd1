/** One who is connected to a monitor, as the monitor sees it. */
import { isErrno, SysError } from "../ffi/call.ts";
import { close, POLLIN, POLLOUT, type PollEntry, poll } from "../linux/fd.ts";
import { accept, receiveNow, sendNow } from "../linux/socket.ts";
import { type AttachRequest, frame, LONGEST, readJson, TAG } from "./attach_protocol.ts";

/** How long clients may take to read what is left for them when all is over, in milliseconds. */
const PATIENCE = 10_000;

/** A connection. What it does not take at once is kept for it. */
export class MonitorClient {
  readonly fd: number;
  readonly #queue: Uint8Array[] = [];
  readonly #buffer = new Uint8Array(LONGEST + 1);
  #isOpen = true;
  #isAttached = false;
  /** Whether it may send input. */
  sendsInput = false;

  /** @param attached from the beginning; others say so themselves */
  constructor(fd: number, attached?: AttachRequest) {
    this.fd = fd;
    if (attached === undefined) return;
    this.#isAttached = true;
    this.sendsInput = attached.input;
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** It has not taken all that was sent to it. */
  get isBehind(): boolean {
    return this.#queue.length > 0;
  }

  /** What to wait for. @param takesInput whether there is room for input */
  interest(takesInput: boolean): PollEntry {
    const input = takesInput || !this.sendsInput ? POLLIN : 0;
    return { fd: this.fd, events: input | (this.isBehind ? POLLOUT : 0), revents: 0 };
  }

  /** Output of the container's, if it wants any. */
  sendOutput(tag: number, bytes: Uint8Array): void {
    if (!this.#isAttached) return;
    for (let at = 0; at < bytes.length; at += LONGEST) {
      this.send(frame(tag, bytes.subarray(at, at + LONGEST)));
    }
  }

  /** A message, after those that it has not taken yet. */
  send(message: Uint8Array): void {
    if (!this.#isOpen) return;
    this.#queue.push(message);
    this.flush();
  }

  /** Sends what it takes. */
  flush(): void {
    try {
      for (let next = this.#queue[0]; next !== undefined; next = this.#queue[0]) {
        sendNow(this.fd, next);
        this.#queue.shift();
      }
    } catch (error) {
      if (isErrno(error, "EAGAIN", "ENOBUFS")) return;
      if (!(error instanceof SysError)) throw error;
      this.close();
    }
  }

  /** The next message for the session; undefined when it was only for us, or the client has left. */
  receive(): Uint8Array | undefined {
    let count: number;
    try {
      count = receiveNow(this.fd, this.#buffer);
    } catch (error) {
      if (isErrno(error, "EAGAIN")) return undefined;
      if (!(error instanceof SysError)) throw error;
      count = 0;
    }
    if (count === 0) {
      this.close();
      return undefined;
    }
    const message = this.#buffer.subarray(0, count);
    if (message[0] !== TAG.attach) return message;
    this.#isAttached = true;
    this.sendsInput = readJson<AttachRequest>(message).input;
    return undefined;
  }

  close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#queue.length = 0;
    close(this.fd);
  }
}

/** The next one of those who have connected; undefined when it has left again, or we have no descriptor. */
export function acceptClient(listener: number): MonitorClient | undefined {
  try {
    return new MonitorClient(accept(listener));
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    return undefined;
  }
}

/** The last message, to those too who have come since; they may read to the end. */
export function takeLeave(
  listener: number,
  clients: readonly MonitorClient[],
  message: Uint8Array,
): void {
  const all = [...clients];
  const entry = { fd: listener, events: POLLIN, revents: 0 };
  while (poll([entry], 0) > 0) {
    const late = acceptClient(listener);
    if (late !== undefined) all.push(late);
  }
  for (const client of all) client.send(message);
  for (const deadline = Date.now() + PATIENCE; ; ) {
    const waiting = all.filter((client) => client.isOpen && client.isBehind);
    const left = deadline - Date.now();
    if (waiting.length === 0 || left <= 0) break;
    const entries = waiting.map(({ fd }) => ({ fd, events: POLLOUT, revents: 0 }));
    poll(entries, left);
    for (const client of waiting) client.flush();
  }
  for (const client of all) client.close();
}
