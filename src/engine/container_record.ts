/** What is written down of a container, and reading it again: somebody may have damaged it. */
import type { Health } from "./health.ts";
import type { RunOptions } from "./run_options.ts";

/** What a container is, from its making to its removal. */
export interface ContainerRecord {
  readonly id: string;
  readonly name: string;
  /** While it is renamed: the name that it may have besides. */
  readonly otherName?: string;
  /** RFC 3339 */
  readonly created: string;
  /** The image as it was asked for; `--rootfs`'s directory otherwise. */
  readonly image: string;
  readonly imageId?: string;
  /** Directories that its own layer lies on, the lowest first. */
  readonly layers: readonly string[];
  /** The whole command line of its first process. */
  readonly command: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
  readonly options: RunOptions;
}

/** How a container ended. */
export interface ExitRecord {
  readonly exitCode: number;
  readonly oomKilled: boolean;
  /** RFC 3339; absent when it never started */
  readonly startedAt?: string;
  /** RFC 3339 */
  readonly finishedAt: string;
  /** Why it could not be started, or that it was lost. */
  readonly error?: string;
  /** how often its restart policy had started it again; absent for never */
  readonly restartCount?: number;
}

type Check = (value: unknown) => boolean;
type Fields = Readonly<Record<string, Check>>;
const isString: Check = (value) => typeof value === "string";
const isStrings: Check = (value) => Array.isArray(value) && value.every(isString);
const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);
const isTime: Check = (value) => isString(value) && !Number.isNaN(Date.parse(value as string));

const CONTAINER_FIELDS: Fields = {
  name: isString,
  created: isTime,
  image: isString,
  imageId: (value) => value === undefined || isString(value),
  layers: isStrings,
  command: isStrings,
  labels: (value) => isObject(value) && Object.values(value).every(isString),
  options: (value) =>
    isObject(value) && typeof value["remove"] === "boolean" && isString(value["network"]),
};

const EXIT_FIELDS: Fields = {
  exitCode: Number.isInteger,
  oomKilled: (value) => typeof value === "boolean",
  startedAt: (value) => value === undefined || isTime(value),
  finishedAt: isTime,
};

/** For thousands of records there is nothing made of the table. */
function checkFields(value: unknown, fields: Fields): void {
  if (!isObject(value)) throw new TypeError("it is no object");
  for (const field in fields) {
    if (fields[field]?.(value[field]) !== true)
      throw new TypeError(`it has a bad field "${field}"`);
  }
}

/** Reads `container.json`: what we rely on is there. @throws {TypeError} says what is wrong */
export function parseContainerRecord(value: unknown, id: string): ContainerRecord {
  checkFields(value, CONTAINER_FIELDS);
  const record = value as ContainerRecord;
  if (record.id !== id) throw new TypeError('it has a bad field "id"');
  return record;
}

const HEALTH_FIELDS: Fields = {
  Status: (value) => ["starting", "healthy", "unhealthy"].includes(value as string),
  FailingStreak: Number.isInteger,
  Log: (value) => Array.isArray(value) && value.every(isObject),
};

/** Reads `health.json`. @throws {TypeError} says what is wrong */
export function parseHealth(value: unknown): Health {
  checkFields(value, HEALTH_FIELDS);
  return value as Health;
}

/** Reads `exit.json`. @throws {TypeError} says what is wrong */
export function parseExitRecord(value: unknown): ExitRecord {
  checkFields(value, EXIT_FIELDS);
  return value as ExitRecord;
}
