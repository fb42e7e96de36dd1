/** `events`: what has happened, and what happens. */
import { MydockerError } from "../errors.ts";
import { decodeBytes, encodeBytes } from "../ffi/bytes.ts";
import { close, O, open, poll, pread, writeAll } from "../linux/fd.ts";
import { ifExists, statFd, statIfExists } from "../linux/file.ts";
import type { Paths } from "../paths.ts";
import { eventsPath, olderEventsPath } from "./events.ts";
import { nobodyReads } from "./logs_reader.ts";

/** An event as it was recorded, in Docker's form. */
export interface Event {
  readonly Type: string;
  readonly Action: string;
  readonly Actor: {
    readonly ID: string;
    readonly Attributes: Readonly<Record<string, string>>;
  };
  readonly scope: string;
  /** seconds since 1970 */
  readonly time: number;
  /** nanoseconds since 1970, of which a number would lose some */
  readonly timeNano: bigint;
}

/** Which events, and for how long. */
export interface EventsOptions {
  /** milliseconds since 1970; when both are absent, what happens from now on */
  readonly since?: number;
  readonly until?: number;
  readonly filters: readonly EventFilter[];
}

/** `--filter NAME=VALUE`. */
export interface EventFilter {
  readonly name: string;
  readonly value: string;
}

/** How often it is looked for new ones, in milliseconds. */
const INTERVAL = 25;
const CHUNK = 65536;
const NEWLINE = 10;
const NOTHING_BUT_ITS_END = 0;

/**
 * Writes events to standard output, until nobody reads them any more or the time is over.
 * @param text of one, with its end of line
 * @throws {MydockerError} for a filter that there is not
 */
export function showEvents(
  paths: Paths,
  { since, until, filters }: EventsOptions,
  text: (event: Event) => string,
): void {
  if (since !== undefined && until !== undefined && since > until) {
    throw new MydockerError("the time of --since is after that of --until");
  }
  const matches = matcher(filters);
  const [from, to] = [nanoseconds(since ?? 0), nanoseconds(until ?? Number.POSITIVE_INFINITY)];
  const tail = new Tail(paths);
  try {
    if (since === undefined && until === undefined) tail.skip();
    for (;;) {
      // What was recorded in time is read after the time is over.
      const isOver = until !== undefined && Date.now() > until;
      const events = tail
        .read()
        .filter((event) => event.timeNano >= from && event.timeNano <= to && matches(event));
      writeAll(1, encodeBytes(events.map(text).join("")));
      if (isOver) return;
      const patience = until === undefined ? INTERVAL : Math.min(INTERVAL, until - Date.now() + 1);
      if (poll([{ fd: 1, events: NOTHING_BUT_ITS_END, revents: 0 }], Math.max(0, patience)) > 0)
        return;
    }
  } catch (error) {
    if (!nobodyReads(error)) throw error;
  } finally {
    tail.close();
  }
}

function nanoseconds(milliseconds: number): bigint {
  return Number.isFinite(milliseconds)
    ? BigInt(Math.floor(milliseconds * 1000)) * 1000n
    : 2n ** 63n;
}

interface OpenFile {
  readonly fd: number;
  readonly ino: number;
  offset: number;
  /** The beginning of a line whose end is not there yet. */
  rest: Uint8Array;
}

/** The files of the log, read as they grow. */
class Tail {
  readonly #paths: Paths;
  /** The oldest first; one that is no longer the newest may still be written to by one who has it open. */
  #files: OpenFile[] = [];

  constructor(paths: Paths) {
    this.#paths = paths;
    for (const path of [olderEventsPath(paths), eventsPath(paths)]) this.#open(path);
  }

  #open(path: string): void {
    const fd = ifExists(() => open(path, O.O_RDONLY));
    if (fd === undefined) return;
    const { ino } = statFd(fd);
    if (this.#files.some((file) => file.ino === ino))
      close(fd); // it was renamed meanwhile
    else this.#files.push({ fd, ino, offset: 0, rest: new Uint8Array(0) });
  }

  /** Leaves out what is there already. */
  skip(): void {
    for (const file of this.#files) file.offset = statFd(file.fd).size;
  }

  /** What has come. */
  read(): Event[] {
    const newest = statIfExists(eventsPath(this.#paths));
    if (newest !== undefined && newest.ino !== this.#files.at(-1)?.ino) {
      this.#open(olderEventsPath(this.#paths)); // one that came and went since
      this.#open(eventsPath(this.#paths));
    }
    const events = this.#files.flatMap(readOn);
    for (const { fd } of this.#files.splice(0, Math.max(0, this.#files.length - 3))) close(fd);
    return events;
  }

  close(): void {
    for (const { fd } of this.#files) close(fd);
  }
}

function readOn(file: OpenFile): Event[] {
  const events: Event[] = [];
  const chunk = new Uint8Array(CHUNK);
  for (;;) {
    const count = pread(file.fd, chunk, file.offset);
    if (count === 0) return events;
    file.offset += count;
    const bytes = new Uint8Array(file.rest.length + count);
    bytes.set(file.rest);
    bytes.set(chunk.subarray(0, count), file.rest.length);
    const end = bytes.lastIndexOf(NEWLINE) + 1;
    file.rest = bytes.slice(end);
    for (const line of decodeBytes(bytes.subarray(0, end)).split("\n")) {
      const event = parseEvent(line);
      if (event !== undefined) events.push(event);
    }
  }
}

/** undefined for what is none: half a line of a writer that was killed. */
function parseEvent(line: string): Event | undefined {
  const digits = /"timeNano":(\d+)\}$/.exec(line)?.[1];
  if (digits === undefined) return undefined;
  try {
    const event: Event = JSON.parse(line);
    if (typeof event.Action !== "string" || typeof event.Actor?.ID !== "string") return undefined;
    return { ...event, timeNano: BigInt(digits) };
  } catch {
    return undefined;
  }
}

type Match = (event: Event, value: string) => boolean;

const named =
  (attribute: string): Match =>
  ({ Actor }, value) =>
    Actor.ID.startsWith(value) || (Actor.Attributes[attribute] ?? "").startsWith(value);

const withoutTag = (image: string): string => image.replace(/:[^/:]*$/, "");

/** Actions that say more behind a colon. */
const LONG_ACTIONS = ["exec_create", "exec_start", "health_status"];

/** Docker's (moby: daemon/events/filter.go). Of one key one value must match, of several keys each. */
const FILTERS: Readonly<Record<string, Match>> = {
  container: named("name"),
  daemon: named("name"),
  event: ({ Action }, value) =>
    LONG_ACTIONS.includes(value) ? Action.startsWith(value) : Action === value,
  image: ({ Type, Actor }, value) => {
    const name = Actor.Attributes[Type === "image" ? "name" : "image"] ?? "";
    return [Actor.ID, name, withoutTag(Actor.ID), withoutTag(name)].includes(value);
  },
  label: ({ Actor }, value) => {
    const [key = "", ...rest] = value.split("=");
    const label = Actor.Attributes[key];
    return label !== undefined && (rest.length === 0 || label === rest.join("="));
  },
  network: named("name"),
  scope: ({ scope }, value) => scope === value,
  type: ({ Type }, value) => Type === value,
  volume: named("name"),
};

/** @throws {MydockerError} for a key that there is not */
function matcher(filters: readonly EventFilter[]): (event: Event) => boolean {
  const byName = Map.groupBy(filters, ({ name }) => name);
  const tests = [...byName].map(([name, wanted]) => {
    const match = Object.hasOwn(FILTERS, name) ? FILTERS[name] : undefined;
    if (match === undefined) throw new MydockerError(`invalid filter '${name}'`);
    return (event: Event) => wanted.some(({ value }) => match(event, value));
  });
  return (event) => tests.every((test) => test(event));
}
