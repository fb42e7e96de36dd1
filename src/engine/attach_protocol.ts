/**
 * What a monitor and its clients say to each other, on sockets that keep message boundaries. The
 * command that starts a monitor has a socket from the beginning; others connect to its own.
 *
 *   client                        monitor
 *     │ ◀── started {id} ────────── │ only to the one that started it, or
 *     │ ◀── failed {message, …} ─── │ the end of it all
 *     │ ── attach {input} ────────▶ │ or
 *     │ ── wait ──────────────────▶ │ wants to hear of the end only
 *     │ ── input, inputEnd, size ─▶ │
 *     │ ── signal, leave ─────────▶ │ of an executed command: one for it; it is to go on without us
 *     │ ── begin, cancel ─────────▶ │ of one that waits to start it again: now, or not at all;
 *     │                             │ of one whose container runs: started, or nothing but the end
 *     │ ◀── output, errors ──────── │
 *     │ ◀── ended {exitCode} ────── │ when it is on record, and everything is given back
 */
import { decodeBytes, encodeBytes } from "../ffi/bytes.ts";
import { isErrno } from "../ffi/call.ts";
import { receiveMessage, sendMessage } from "../linux/socket.ts";

/** The first byte of a message; the rest is JSON, or bytes of a stream. */
export const TAG = {
  started: 0x53, // S
  failed: 0x46, // F
  attach: 0x41, // A
  wait: 0x57, // W
  begin: 0x42, // B
  cancel: 0x43, // C
  input: 0x49, // I
  inputEnd: 0x45, // E
  /** struct winsize */
  size: 0x52, // R
  /** a number, of one byte */
  signal: 0x4b, // K
  leave: 0x4c, // L
  output: 0x31, // 1
  errors: 0x32, // 2
  ended: 0x58, // X
  /** the container is on a network where others have names: answered by the same, or the end */
  names: 0x4e, // N
  /** publish ports: answered by the same, or by failed */
  publish: 0x4f, // O
  /** of the process that probes a container's health, to its monitor */
  probed: 0x50, // P
} as const;

/** As many bytes of a stream as one message has: half of what a socket holds, or less. */
export const LONGEST = 32768;

/** A message of bytes. */
export function frame(tag: number, bytes: Uint8Array = new Uint8Array(0)): Uint8Array {
  const message = new Uint8Array(bytes.length + 1);
  message[0] = tag;
  message.set(bytes, 1);
  return message;
}

/** A message of JSON. */
export const frameJson = (tag: number, value: object): Uint8Array =>
  frame(tag, encodeBytes(JSON.stringify(value)));

/** What {@link frameJson} made. */
export const readJson = <T>(message: Uint8Array): T => JSON.parse(decodeBytes(message.subarray(1)));

/** The next message of a monitor; undefined when it has ended. */
export function hear(socket: number): Uint8Array | undefined {
  for (let attempt = 1; ; attempt++) {
    try {
      return receiveMessage(socket)?.bytes;
    } catch (error) {
      // One that has ended without reading ours is reported first, and once (unix(7)).
      if (!isErrno(error, "ECONNRESET")) throw error;
      if (attempt > 1) return undefined;
    }
  }
}

/** Says something to a monitor. @returns false when it has ended */
export function say(socket: number, message: Uint8Array): boolean {
  try {
    sendMessage(socket, message);
    return true;
  } catch (error) {
    if (!isErrno(error, "EPIPE", "ECONNRESET")) throw error;
    return false;
  }
}

/** How a client attaches. */
export interface AttachRequest {
  /** It sends input. */
  readonly input: boolean;
}

/** Why a container could not be started. */
export interface StartFailure {
  readonly message: string;
  readonly exitCode: number;
  readonly hint?: string;
  /** The image that is not here, if that is why. */
  readonly missingImage?: string;
}

/** How a container ended. */
export interface EndMessage {
  readonly exitCode: number;
}
