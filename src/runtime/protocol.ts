/**
 * What a container's creator and its first process say to each other, on a socket that keeps
 * message boundaries.
 *
 *   creator                          init
 *     │ ── clone(namespaces) ──────────▶ │
 *     │ ── "mapped" ───────────────────▶ │ only with a user namespace: its ids are mapped
 *     │ makes cgroup and files           │ mounts what is the container's own
 *     │ ── "go" ───────────────────────▶ │
 *     │                                  │ joins cgroups, mounts what is the creator's
 *     │ ◀── "console" + pty master ───── │ only with a terminal
 *     │ ◀── "mounted" ────────────────── │ only with hooks
 *     │ runs prestart, createRuntime     │
 *     │ ── "hooked" ───────────────────▶ │ runs createContainer
 *     │                                  │ pivots, drops privileges
 *     │ ◀── "listening" + number ─────── │ only with a seccomp filter that notifies
 *     │ takes the listener, hands it on  │
 *     │ ── "heard" ────────────────────▶ │
 *     │ ◀── "ready" ──────────────────── │ only if the command waits for `start`
 *     │ ── "keep" ─────────────────────▶ │ the container is on record: it may outlive its creator
 *     │
 *   starter ── "start" ────────────────▶ │ on a connection of its own, which replaces the first
 *     │                                  │ runs startContainer
 *     │ ◀── "exec" ───────────────────── │
 *     │                                  │ becomes the trampoline (trampoline.ts)
 *     │ ◀── the pid of the command, when that is a child of it
 *     │ ◀── "failed" {…}, an error's number, or end of file: execve(2) has closed the socket
 *
 * Without startContainer hooks it is the trampoline that waits: it says WAITING instead of "ready",
 * behind "exec", and EXECUTING once it has been started.
 */
import { decodeBytes, encodeBytes } from "../ffi/bytes.ts";
import { write } from "../linux/fd.ts";
import { receiveMessage, sendMessage } from "../linux/socket.ts";
import type { Outlook } from "./executable.ts";

/** What init says. */
export type InitMessage =
  /** from the process in between that forked it, with a pidfd */
  | { readonly kind: "forked"; readonly pid: number }
  | { readonly kind: "console" }
  | { readonly kind: "mounted" }
  /** the listener is this descriptor of init's */
  | { readonly kind: "listening"; readonly fd: number }
  | { readonly kind: "ready" }
  | { readonly kind: "exec"; readonly outlook: Outlook }
  /** from the trampoline: a pid, or an error's number, negative */
  | { readonly kind: "returned"; readonly value: number }
  | {
      readonly kind: "failed";
      readonly message: string;
      readonly exitCode: number;
      /** A process with one thread could do it. */
      readonly again?: boolean;
    };

/** What init waits for, in this order. */
export type Signal = "mapped" | "go" | "hooked" | "heard" | "keep" | "start";

/** Characters; what fits into one message (linux/socket.ts) however they are encoded. */
const LONGEST = 20_000;

/** Says something to the creator, with a descriptor beside it if given. */
export function tell(socket: number, message: InitMessage, fd?: number): void {
  let text = JSON.stringify(message);
  if (text.length > LONGEST && message.kind === "failed") {
    const cut = message.message.slice(0, 8000).replace(/[\ud800-\udbff]$/, ""); // no half character
    text = JSON.stringify({ ...message, message: `${cut}…` });
  }
  const bytes = encodeBytes(text);
  try {
    sendMessage(socket, bytes, fd);
  } catch (error) {
    // The filter that is in force by now may refuse sendmsg(2), and let write(2) through.
    if (message.kind !== "failed") throw error;
    write(socket, bytes);
  }
}

/**
 * Says something by write(2), the one call for which no profile asks for a notification
 * (seccomp/validate.ts): nobody would answer one yet.
 */
export function tellUnnotified(socket: number, message: InitMessage): void {
  write(socket, encodeBytes(JSON.stringify(message)));
}

/** The length of the trampoline's messages, bytes; no JSON of ours is that short. */
const WORD = 8;

/** Reads what {@link tell} sent, or the trampoline. */
export function parseMessage(bytes: Uint8Array): InitMessage {
  if (bytes.length === WORD) {
    const value = new DataView(bytes.buffer, bytes.byteOffset, WORD).getBigInt64(0, true);
    return { kind: "returned", value: Number(value) };
  }
  return JSON.parse(decodeBytes(bytes));
}

/** Lets init go on. */
export function signal(socket: number, word: Signal): void {
  sendMessage(socket, encodeBytes(word));
}

/** Waits to be told to go on. @returns false when the other side is gone, or says something else */
export function awaitSignal(socket: number, word: Signal): boolean {
  const received = receiveMessage(socket);
  return received !== undefined && decodeBytes(received.bytes) === word;
}
