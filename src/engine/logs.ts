/** `logs`: what a container wrote, and what it writes. */
import { MydockerError } from "../errors.ts";
import { decodeBytes, encodeBytes } from "../ffi/bytes.ts";
import { poll, writeAll } from "../linux/fd.ts";
import type { Paths } from "../paths.ts";
import { type FoundContainer, findContainer, recordOf } from "./lifecycle_process.ts";
import { LogReader, nobodyReads } from "./logs_reader.ts";
import { ownerOf } from "./ownership.ts";

/** What of a log is shown. */
export interface LogsOptions {
  readonly follow: boolean;
  /** so many of the last lines; all when absent */
  readonly tail?: number;
  /** milliseconds since 1970 */
  readonly since?: number;
  readonly until?: number;
  readonly timestamps: boolean;
  /** what else is on record of each line */
  readonly details: boolean;
}

/** How often a log is looked at that is followed, in milliseconds. */
const INTERVAL = 20;
/** What is written at once, characters. */
const BATCH = 131072;
/** POLLERR and POLLHUP need no asking (poll(2)). */
const NOTHING_BUT_ITS_END = 0;

/** How our own writer begins a line, and what it puts behind the text. */
const BEGIN = '{"log":"';
const STREAM = '","stream":"';
const TIME = '","time":"';
const END = '"}';

interface Entry {
  readonly log: string;
  readonly stream: string;
  /** RFC 3339 */
  readonly time: string;
  readonly attrs?: Readonly<Record<string, string>>;
}

/**
 * Writes a container's log to standard output and standard error.
 * @throws {MydockerError} when there is no such container, or it has none
 */
export function showLogs(paths: Paths, reference: string, options: LogsOptions): void {
  const found = findContainer(paths, reference);
  const { options: made } = recordOf(found);
  if (made.log?.driver === "none") {
    throw new MydockerError("configured logging driver does not support reading");
  }
  const reader = new LogReader(found.store.logPath(found.id));
  const printer = new Printer(options);
  try {
    if (options.tail === undefined) reader.begin();
    else reader.beginBeforeEnd(options.tail);
    const show = () => {
      reader.read((lines) => printer.show(lines));
      printer.flush();
    };
    show();
    if (!options.follow) return;
    while (!printer.isOver && isOwned(found)) {
      show();
      if (!waitWithReader()) return;
    }
    show(); // what it wrote last
  } catch (error) {
    if (!nobodyReads(error)) throw error;
  } finally {
    reader.close();
  }
}

/** Whether somebody is there who may write more. */
const isOwned = ({ paths, id }: FoundContainer): boolean => ownerOf(paths, id) !== undefined;

/** Waits a while. @returns whether somebody is left who reads what we write */
function waitWithReader(): boolean {
  return poll([{ fd: 1, events: NOTHING_BUT_ITS_END, revents: 0 }], INTERVAL) === 0;
}

class Printer {
  readonly #options: LogsOptions;
  #text = "";
  #fd = 1;
  /** What comes now is later than what is wanted. */
  isOver = false;

  constructor(options: LogsOptions) {
    this.#options = options;
  }

  show(lines: Uint8Array): void {
    for (const line of decodeBytes(lines).split("\n")) {
      const entry = readEntry(line) ?? parseEntry(line);
      if (entry !== undefined) this.#showEntry(entry);
      if (this.isOver) return;
    }
  }

  #showEntry(entry: Entry): void {
    const { since, until, timestamps, details } = this.#options;
    if (since !== undefined || until !== undefined) {
      const time = Date.parse(entry.time);
      if (since !== undefined && time < since) return;
      if (until !== undefined && time > until) {
        this.isOver = true;
        return;
      }
    }
    const fd = entry.stream === "stderr" ? 2 : 1;
    if (fd !== this.#fd || this.#text.length > BATCH) this.flush();
    this.#fd = fd;
    if (timestamps) this.#text += `${nanoseconds(entry.time)} `;
    if (details) this.#text += `${attributes(entry)} `;
    this.#text += entry.log;
  }

  flush(): void {
    if (this.#text === "") return;
    const text = this.#text;
    this.#text = "";
    writeAll(this.#fd, encodeBytes(text));
  }
}

/**
 * A line as our writer has it, without the machinery of JSON: there may be millions. In the text
 * every quote is escaped, so that the first one that is not ends it.
 * @returns undefined for any other
 */
function readEntry(line: string): Entry | undefined {
  const end = line.startsWith(BEGIN) ? line.indexOf(STREAM, BEGIN.length) : -1;
  if (end < 0) return undefined;
  const streamAt = end + STREAM.length;
  const streamEnd = line.indexOf(TIME, streamAt);
  if (streamEnd < 0 || !line.endsWith(END)) return undefined;
  const timeAt = streamEnd + TIME.length;
  const time = line.slice(timeAt, -END.length);
  if (time.includes('"')) return undefined;
  const backslash = line.indexOf("\\", BEGIN.length);
  const isPlain = backslash < 0 || backslash > end;
  const isLine = backslash === end - 2 && line[backslash + 1] === "n";
  if (!isPlain && !isLine) return undefined;
  const log = isPlain ? line.slice(BEGIN.length, end) : `${line.slice(BEGIN.length, backslash)}\n`;
  return { log, stream: line.slice(streamAt, streamEnd), time };
}

/** As Docker prints them: sorted, and a sign for what would look like another one. */
const attributes = ({ attrs = {} }: Entry): string =>
  Object.entries(attrs)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map((pair) => pair.map(queryEscape).join("="))
    .join(",");

/** As Go's url.QueryEscape. */
const queryEscape = (text: string): string =>
  encodeURIComponent(text.toWellFormed())
    .replaceAll("%20", "+")
    .replace(/[!'()*]/g, (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`);

/** undefined for what is none: a line that was written when the machine went down, for instance. */
function parseEntry(line: string): Entry | undefined {
  if (line === "") return undefined;
  try {
    const entry: Entry = JSON.parse(line);
    return typeof entry.log === "string" && typeof entry.time === "string" ? entry : undefined;
  } catch {
    return undefined;
  }
}

/** As Docker prints times of a log: nine digits behind the point. */
function nanoseconds(time: string): string {
  const [, whole = time, fraction = ""] = /^(.*?)(?:\.(\d+))?Z$/.exec(time) ?? [];
  return `${whole}.${fraction.padEnd(9, "0")}Z`;
}
