/**
 * The event log: what happened to containers, images, volumes and networks, said by whoever did it.
 *
 *   <root>/events.jsonl     one line of JSON for each event, in Docker's form; the newest
 *   <root>/events.jsonl.1   older ones
 *
 * There is no daemon that could tell: a file is what everybody appends to, each event by one
 * write(2) with O_APPEND, which no other comes between. Each begins with an end of line as well,
 * so that half an event, of a writer that was killed or whose disk was full, spoils no other one.
 */
import { encodeBytes } from "../ffi/bytes.ts";
import { isErrno, SysError } from "../ffi/call.ts";
import { now } from "../linux/clock.ts";
import { close, flock, LOCK_EX, LOCK_NB, O, open, write } from "../linux/fd.ts";
import { rename, type Stat, statFd, statIfExists } from "../linux/file.ts";
import { log } from "../log.ts";
import type { Paths } from "../paths.ts";
import type { ContainerRecord } from "./container_record.ts";

/** What something can happen to. */
export type EventType = "container" | "image" | "volume" | "network" | "builder";

/** More about an event; labels are among them, as with Docker. */
export type EventAttributes = Readonly<Record<string, string>>;

/** A file that has so many bytes is the older one from then on. */
export const EVENTS_SIZE = 8_000_000;

/** The newest events. */
export const eventsPath = (paths: Pick<Paths, "root">): string => `${paths.root}/events.jsonl`;
/** The older ones. */
export const olderEventsPath = (paths: Pick<Paths, "root">): string => `${eventsPath(paths)}.1`;

/**
 * Says that something has happened. It never fails: what has happened has, whether or not somebody
 * hears of it.
 * @param action Docker's word for it: `create`, `die`, `exec_start: sh -c date`
 */
export function recordEvent(
  paths: Pick<Paths, "root">,
  type: EventType,
  action: string,
  id: string,
  attributes: EventAttributes = {},
): void {
  const { seconds, nanoseconds } = now();
  const text = `\n{"Type":"${type}","Action":${JSON.stringify(action)},"Actor":{"ID":${JSON.stringify(
    id,
  )},"Attributes":${JSON.stringify(attributes)}},"scope":"local","time":${seconds},"timeNano":${seconds}${String(
    nanoseconds,
  ).padStart(9, "0")}}\n`;
  try {
    append(paths, encodeBytes(text));
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    log.debug(`the event "${type} ${action}" could not be recorded: ${error.message}`);
  }
}

/** {@link recordEvent} of a container, with its labels, its image and its name. */
export function recordContainerEvent(
  paths: Pick<Paths, "root">,
  { id, name, image, labels }: Pick<ContainerRecord, "id" | "name" | "image" | "labels">,
  action: string,
  more?: EventAttributes,
): void {
  recordEvent(paths, "container", action, id, { ...labels, image, name, ...more });
}

function append(paths: Pick<Paths, "root">, bytes: Uint8Array): void {
  const path = eventsPath(paths);
  const fd = open(path, O.O_WRONLY | O.O_CREAT | O.O_APPEND, 0o600);
  try {
    write(fd, bytes, path);
    const file = statFd(fd);
    if (file.size >= EVENTS_SIZE) rotate(paths, fd, file);
  } finally {
    close(fd);
  }
}

/** Of several that find the file full, one renames it: whoever has its lock while it still has its name. */
function rotate(paths: Pick<Paths, "root">, fd: number, file: Stat): void {
  try {
    flock(fd, LOCK_EX | LOCK_NB);
  } catch (error) {
    if (isErrno(error, "EAGAIN")) return;
    throw error;
  }
  const named = statIfExists(eventsPath(paths));
  if (named?.ino === file.ino) rename(eventsPath(paths), olderEventsPath(paths));
}
