/**
 * Docker's json-file log: a line of JSON for each line of output, `{"log":…,"stream":…,"time":…}`.
 *
 * Bytes that are no UTF-8 are written as escapes of lone surrogates (`\udcff`, ffi/bytes.ts): log
 * shippers read them as U+FFFD, as they do of Docker's, and `logs` turns them back into the bytes.
 */
import { decodeBytes, encodeBytes } from "../ffi/bytes.ts";
import { isErrno } from "../ffi/call.ts";
import { close, ftruncate, O, open, write } from "../linux/fd.ts";
import { rename, statFd } from "../linux/file.ts";
import type { LogRequest } from "./run_options.ts";

/** A line is cut after so many bytes, and goes on in the next entry (moby: daemon/logger/copier.go). */
const LONGEST_LINE = 16384;
/** What is written at once, characters. */
const BATCH = 262144;

/** Docker keeps one file without end; this is what fills nobody's disk. */
export const DEFAULT_LOG: LogRequest = { driver: "json-file", maxSize: 20_000_000, maxFile: 5 };

/** Which of its streams a container wrote to. */
export type StreamName = "stdout" | "stderr";

/** Where a container's output goes. */
export interface LogSink {
  /** Takes output. What it cannot write it keeps. @returns false when there is something that it keeps */
  add(stream: StreamName, bytes: Uint8Array): boolean;
  /** Tries again to write what is kept. @returns whether nothing is left */
  flush(): boolean;
  /** Writes the last lines, which have no end. */
  finish(): boolean;
  close(): void;
}

/**
 * Opens a container's log.
 * @param path of the newest file
 * @param attributes what each line has besides: an object of JSON
 */
export function openLog(path: string, request: LogRequest, attributes?: string): LogSink {
  return request.driver === "none" ? NO_LOG : new JsonLog(path, request, attributes);
}

/** Where nothing is logged. */
export const NO_LOG: LogSink = {
  add: () => true,
  flush: () => true,
  finish: () => true,
  close: () => undefined,
};

class JsonLog implements LogSink {
  readonly #path: string;
  readonly #maxSize: number;
  readonly #maxFile: number;
  /** characters that are kept while nothing can be written; without, the container waits */
  readonly #buffer: number | undefined;
  readonly #attributes: string;
  #fd: number;
  #size: number;
  /** Entries that are to be written. */
  #queue: string[] = [];
  /** Of each stream what came behind its last end of line. */
  readonly #rest: Record<StreamName, Uint8Array> = {
    stdout: new Uint8Array(0),
    stderr: new Uint8Array(0),
  };

  constructor(path: string, { maxSize, maxFile, buffer }: LogRequest, attributes?: string) {
    this.#path = path;
    this.#buffer = buffer;
    this.#attributes = attributes === undefined ? "" : `,"attrs":${attributes}`;
    this.#maxSize = maxSize;
    this.#maxFile = maxFile;
    this.#fd = openForAppending(path);
    this.#size = statFd(this.#fd).size;
  }

  add(stream: StreamName, bytes: Uint8Array): boolean {
    const end = bytes.lastIndexOf(10) + 1;
    const rest = this.#rest[stream];
    if (end > 0) {
      this.#enqueue(stream, rest.length === 0 ? bytes.subarray(0, end) : join(rest, bytes, end));
      this.#rest[stream] = bytes.slice(end);
    } else this.#rest[stream] = join(rest, bytes, bytes.length);
    const left = this.#rest[stream];
    const whole = left.length - (left.length % LONGEST_LINE);
    if (whole > 0) {
      this.#enqueue(stream, left.subarray(0, whole));
      this.#rest[stream] = left.slice(whole);
    }
    return this.flush();
  }

  finish(): boolean {
    for (const stream of ["stdout", "stderr"] as const) {
      const rest = this.#rest[stream];
      if (rest.length > 0) this.#enqueue(stream, rest);
      this.#rest[stream] = new Uint8Array(0);
    }
    return this.flush();
  }

  #enqueue(stream: StreamName, bytes: Uint8Array): void {
    const tail = `,"stream":"${stream}"${this.#attributes},"time":"${new Date().toISOString()}"}\n`;
    const push = (line: string) => this.#queue.push(`{"log":${JSON.stringify(line)}${tail}`);
    for (const piece of shortPieces(bytes)) {
      const text = decodeBytes(piece);
      let from = 0;
      for (let at = text.indexOf("\n"); at !== -1; at = text.indexOf("\n", from)) {
        push(text.slice(from, at + 1));
        from = at + 1;
      }
      if (from < text.length) push(text.slice(from));
    }
  }

  flush(): boolean {
    let written = 0;
    try {
      while (written < this.#queue.length) {
        if (this.#size >= this.#maxSize) this.#rotate();
        const [batch, count] = this.#batchFrom(written);
        this.#write(encodeBytes(batch));
        written += count;
      }
    } catch (error) {
      // Room may be made: until then the container waits, as for any reader that does not read.
      if (!isErrno(error, "ENOSPC", "EDQUOT", "EFBIG", "EIO")) throw error;
      return this.#buffer !== undefined;
    } finally {
      this.#queue = written === this.#queue.length ? [] : this.#queue.slice(written);
      if (this.#buffer !== undefined) this.#dropOldest(this.#buffer);
    }
    return true;
  }

  #dropOldest(buffer: number): void {
    let length = this.#queue.reduce((sum, line) => sum + line.length, 0);
    let at = 0;
    while (length > buffer && at < this.#queue.length) length -= this.#queue[at++]?.length ?? 0;
    if (at > 0) this.#queue = this.#queue.slice(at);
  }

  /** Entries until the file is full: as many as go into it. */
  #batchFrom(first: number): [text: string, count: number] {
    let text = "";
    let at = first;
    do text += this.#queue[at++] ?? "";
    while (
      at < this.#queue.length &&
      text.length < BATCH &&
      this.#size + text.length < this.#maxSize
    );
    return [text, at - first];
  }

  /** All of it, or nothing: half a line would spoil the file. */
  #write(bytes: Uint8Array): void {
    try {
      for (let at = 0; at < bytes.length; ) at += write(this.#fd, bytes.subarray(at), this.#path);
      this.#size += bytes.length;
    } catch (error) {
      ftruncate(this.#fd, this.#size);
      throw error;
    }
  }

  /** The newest older file has the number 1. */
  #rotate(): void {
    const name = (number: number) => (number === 0 ? this.#path : `${this.#path}.${number}`);
    for (let number = this.#maxFile - 1; number > 0; number--) {
      try {
        rename(name(number - 1), name(number));
      } catch (error) {
        if (!isErrno(error, "ENOENT")) throw error;
      }
    }
    if (this.#maxFile > 1) {
      const fd = openForAppending(this.#path);
      close(this.#fd);
      this.#fd = fd;
    } else ftruncate(this.#fd, 0);
    this.#size = 0;
  }

  close(): void {
    close(this.#fd);
  }
}

const openForAppending = (path: string): number =>
  open(path, O.O_WRONLY | O.O_CREAT | O.O_APPEND, 0o640);

function join(first: Uint8Array, second: Uint8Array, end: number): Uint8Array {
  const joined = new Uint8Array(first.length + end);
  joined.set(first);
  joined.set(second.subarray(0, end), first.length);
  return joined;
}

/** The bytes as they are if none of their lines is too long, else cut where one is. */
function* shortPieces(bytes: Uint8Array): Generator<Uint8Array> {
  let from = 0;
  for (let lineStart = 0; lineStart < bytes.length; ) {
    const newline = bytes.indexOf(10, lineStart);
    const end = newline === -1 ? bytes.length : newline + 1;
    if (end - lineStart > LONGEST_LINE) {
      lineStart += LONGEST_LINE;
      yield bytes.subarray(from, lineStart);
      from = lineStart;
    } else lineStart = end;
  }
  if (from < bytes.length) yield bytes.subarray(from);
}
