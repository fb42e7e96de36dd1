/** Events as Docker prints them. */
import type { Event } from "../engine/events_reader.ts";
import { printable } from "../log.ts";
import { formatObject } from "./format.ts";

/** `2024-05-01T12:00:00.000000000Z container start 4f5d… (image=busybox, name=web)` */
export function eventLine({ Type, Action, Actor, timeNano }: Event): string {
  const attributes = Object.entries(Actor.Attributes)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]) => `${name}=${value}`);
  const more = attributes.length === 0 ? "" : ` (${attributes.join(", ")})`;
  const text = `${localTime(timeNano)} ${Type} ${Action} ${Actor.ID}${more}`;
  return `${printable(text)}\n`;
}

/** One event by `--format`: `json`, or a Go template. */
export function formatEvent(format: string, event: Event): string {
  return formatObject(format, new EventFields(event));
}

/** The fields by the names that templates know; JSON has others. */
class EventFields {
  readonly Type: string;
  readonly Action: string;
  readonly Actor: Event["Actor"];
  readonly Scope: string;
  readonly Status: string;
  readonly ID: string;
  readonly From: string;
  readonly Time: number;
  readonly TimeNano: bigint;

  constructor({ Type, Action, Actor, scope, time, timeNano }: Event) {
    // The three that were there before there was Actor are of containers and images only.
    const isOld = Type === "container" || Type === "image";
    this.Type = Type;
    this.Action = Action;
    this.Actor = Actor;
    this.Scope = scope;
    this.Status = isOld ? Action : "";
    this.ID = isOld ? Actor.ID : "";
    this.From = Type === "container" ? (Actor.Attributes["image"] ?? "") : "";
    this.Time = time;
    this.TimeNano = timeNano;
  }

  toJSON(): object {
    const old = {
      ...(this.Status === "" ? {} : { status: this.Status }),
      ...(this.ID === "" ? {} : { id: this.ID }),
      ...(this.From === "" ? {} : { from: this.From }),
    };
    return {
      ...old,
      Type: this.Type,
      Action: this.Action,
      Actor: this.Actor,
      scope: this.Scope,
      time: this.Time,
      timeNano: JSON.rawJSON(String(this.TimeNano)),
    };
  }
}

/** RFC 3339 with nine digits, in local time. @param nanoseconds since 1970 */
function localTime(nanoseconds: bigint): string {
  const date = new Date(Number(nanoseconds / 1_000_000n));
  const minutes = -date.getTimezoneOffset();
  const local = new Date(date.getTime() + minutes * 60_000).toISOString().slice(0, 19);
  const two = (number: number) => String(Math.floor(number)).padStart(2, "0");
  const away = Math.abs(minutes);
  const zone = away === 0 ? "Z" : `${minutes < 0 ? "-" : "+"}${two(away / 60)}:${two(away % 60)}`;
  return `${local}.${String(nanoseconds % 1_000_000_000n).padStart(9, "0")}${zone}`;
}
