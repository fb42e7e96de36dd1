/** Docker's json-file log, read back: from the oldest file to the newest, and on while it grows. */
import { isErrno } from "../ffi/call.ts";
import { close, O, open, pread } from "../linux/fd.ts";
import { ifExists, statFd, statIfExists } from "../linux/file.ts";

/** How much is read at once, bytes. */
const CHUNK = 262144;
const NEWLINE = 10;

/** Whole lines of a log, the end of the last one included; the bytes are the reader's again afterwards. */
export type LinesSink = (lines: Uint8Array) => void;

/** A log with its older files, as it is written (logs_writer.ts). */
export class LogReader {
  readonly #path: string;
  #fd: number | undefined;
  #offset = 0;
  /** What was read behind the last end of line. */
  #rest = new Uint8Array(0);

  /** @param path of the newest file */
  constructor(path: string) {
    this.#path = path;
  }

  /** Goes to the oldest line that there is. */
  begin(): void {
    this.#open(this.#oldest());
  }

  /** Goes to the line that is so many lines before the end. */
  beginBeforeEnd(lines: number): void {
    let left = lines;
    for (let number = 0; ; number++) {
      const fd = openIfExists(this.#nameOf(number));
      if (fd === undefined) return this.#open(Math.max(0, number - 1));
      const { size } = statFd(fd);
      const { offset, found } = lineFromEnd(fd, size, left);
      if (found === left) return this.#use(fd, offset);
      left -= found;
      close(fd);
    }
  }

  /** All whole lines from where we are to the end as it is now, through all files. */
  read(sink: LinesSink): void {
    for (;;) {
      if (this.#fd === undefined) {
        if (statIfExists(this.#path) === undefined) return;
        this.#open(this.#oldest());
        continue;
      }
      this.#readFile(this.#fd, sink);
      const next = this.#newerThan(this.#fd);
      if (next === undefined) return;
      this.#readFile(this.#fd, sink); // what was written between reading and renaming
      close(this.#fd);
      this.#open(next);
    }
  }

  #readFile(fd: number, sink: LinesSink): void {
    const buffer = new Uint8Array(CHUNK);
    if (statFd(fd).size < this.#offset) this.#offset = 0; // the only file, begun anew
    for (;;) {
      const count = pread(fd, buffer, this.#offset);
      if (count === 0) return;
      this.#offset += count;
      const end = buffer.lastIndexOf(NEWLINE, count - 1) + 1;
      if (end > 0) {
        const lines = buffer.subarray(0, end);
        sink(this.#rest.length === 0 ? lines : join(this.#rest, lines));
        this.#rest = new Uint8Array(0);
      }
      if (end < count) this.#rest = join(this.#rest, buffer.subarray(end, count));
    }
  }

  /** The number of the file that came after this one; undefined when it is the newest. */
  #newerThan(fd: number): number | undefined {
    const { ino } = statFd(fd);
    if (statIfExists(this.#path)?.ino === ino) return undefined;
    for (let number = 1; ; number++) {
      const other = statIfExists(this.#nameOf(number));
      if (other === undefined)
        return statIfExists(this.#path) === undefined ? undefined : number - 1;
      if (other.ino === ino) return number - 1;
    }
  }

  #oldest(): number {
    let number = 0;
    while (statIfExists(this.#nameOf(number + 1)) !== undefined) number++;
    return number;
  }

  #nameOf = (number: number): string => (number === 0 ? this.#path : `${this.#path}.${number}`);

  #open(number: number): void {
    const fd = openIfExists(this.#nameOf(number));
    this.#rest = new Uint8Array(0);
    if (fd === undefined) this.#fd = undefined;
    else this.#use(fd, 0);
  }

  #use(fd: number, offset: number): void {
    this.#fd = fd;
    this.#offset = offset;
  }

  close(): void {
    if (this.#fd !== undefined) close(this.#fd);
    this.#fd = undefined;
  }
}

const openIfExists = (path: string): number | undefined => ifExists(() => open(path, O.O_RDONLY));

/** Where the last so many whole lines begin, as far as there are so many. */
function lineFromEnd(fd: number, size: number, lines: number): { offset: number; found: number } {
  const buffer = new Uint8Array(CHUNK);
  let found = -1; // the end of the last line ends it, and begins none
  for (let end = size; end > 0; ) {
    const start = Math.max(0, end - CHUNK);
    const count = readAt(fd, buffer.subarray(0, end - start), start);
    for (let at = buffer.lastIndexOf(NEWLINE, count - 1); at !== -1; ) {
      found++;
      if (found === lines) return { offset: start + at + 1, found };
      at = at === 0 ? -1 : buffer.lastIndexOf(NEWLINE, at - 1);
    }
    end = start;
  }
  return { offset: 0, found: Math.max(0, found + 1) };
}

function readAt(fd: number, buffer: Uint8Array, offset: number): number {
  let count = 0;
  while (count < buffer.length) {
    const more = pread(fd, buffer.subarray(count), offset + count);
    if (more === 0) break;
    count += more;
  }
  return count;
}

function join(first: Uint8Array, second: Uint8Array): Uint8Array<ArrayBuffer> {
  const joined = new Uint8Array(first.length + second.length);
  joined.set(first);
  joined.set(second, first.length);
  return joined;
}

/** Whether an error means that nobody reads what we write. */
export const nobodyReads = (error: unknown): boolean => isErrno(error, "EPIPE", "ECONNRESET");
