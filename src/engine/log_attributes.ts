/** What a log has of each line besides: of labels, environment, and a tag, as Docker has it (moby: daemon/logger/loginfo.go). */

import type { ContainerRecord } from "./container_record.ts";
import { hostName } from "./host_facts.ts";
import type { LogAttributes } from "./run_options.ts";

type About = Pick<ContainerRecord, "id" | "name" | "image" | "imageId" | "command">;

/** What a tag can have, between `{{.` and `}}`. */
const TAG_FIELDS = {
  ID: ({ id }) => id.slice(0, 12),
  FullID: ({ id }) => id,
  Name: ({ name }) => name,
  // The algorithm counts, as it does in Docker.
  ImageID: ({ imageId = "" }) => imageId.slice(0, 12),
  ImageFullID: ({ imageId = "" }) => imageId,
  ImageName: ({ image }) => image,
  Command: ({ command }) => command.join(" "),
  Hostname: hostName,
  DaemonName: () => "mydocker",
} satisfies Readonly<Record<string, (about: About) => string>>;

/** Their names. */
export const TAG_FIELD_NAMES: readonly string[] = Object.keys(TAG_FIELDS);

/** A field of a tag. */
export const TAG_FIELD = /\{\{\s*\.(\w+)\s*\}\}/g;

/** @returns an object of JSON with what there is of it; undefined for nothing */
export function logAttributes(
  { labels, env, labelsRegex, envRegex, tag }: LogAttributes,
  record: ContainerRecord,
  imageEnv: readonly string[],
): string | undefined {
  const variables = new Map(
    [...imageEnv, ...record.options.env].flatMap((entry) => {
      const sign = entry.indexOf("=");
      return sign < 0 ? [] : [[entry.slice(0, sign), entry.slice(sign + 1)] as const];
    }),
  );
  const all = new Map([
    ...chosen(new Map(Object.entries(record.labels)), labels, labelsRegex),
    ...chosen(variables, env, envRegex),
  ]);
  if (tag !== undefined && tag !== "") all.set("tag", tagOf(tag, record));
  if (all.size === 0) return undefined;
  return JSON.stringify(Object.fromEntries([...all].sort(([a], [b]) => (a < b ? -1 : 1))));
}

function chosen(
  from: ReadonlyMap<string, string>,
  names: readonly string[],
  pattern: string | undefined,
): [string, string][] {
  const regex = pattern === undefined ? undefined : new RegExp(pattern);
  return [...from].filter(([name]) => names.includes(name) || regex?.test(name) === true);
}

const tagOf = (tag: string, about: About): string =>
  tag.replace(TAG_FIELD, (field, name: string) =>
    Object.hasOwn(TAG_FIELDS, name) ? TAG_FIELDS[name as keyof typeof TAG_FIELDS](about) : field,
  );
