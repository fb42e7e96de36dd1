/** Seccomp profiles from outside: JSON to {@link Seccomp} or {@link DockerProfile}, with errors that name the JSON path. */
import { MydockerError } from "../errors.ts";
import {
  ACTIONS,
  type Action,
  ARCHITECTURES,
  type Argument,
  type ConditionalRule,
  type DockerProfile,
  FLAGS,
  OPERATORS,
  type RuleFilter,
  type Seccomp,
  type Value,
} from "./profile.ts";

type Json = Readonly<Record<string, unknown>>;

const MAX_U64 = 2n ** 64n - 1n;
/** SECCOMP_RET_DATA: what fits beside an action. */
const MAX_DATA = 0xffff;
const MAX_ARGUMENT = 5;

/** A profile that is wrong somewhere. */
export class ProfileError extends MydockerError {
  override readonly name = "ProfileError";

  constructor(
    readonly path: string,
    readonly what: string,
  ) {
    super(`seccomp profile: ${path}: ${what}`);
  }
}

function fail(path: string, what: string): never {
  throw new ProfileError(path, what);
}

/** What somebody wrote, as he may recognize it. */
function show(value: unknown): string {
  const text = typeof value === "bigint" ? String(value) : JSON.stringify(value);
  return text === undefined || text.length > 60 ? `a value of type ${typeof value}` : text;
}

function object(value: unknown, path: string): Json {
  if (typeof value !== "object" || value === null || Array.isArray(value))
    fail(path, `${show(value)} is not an object`);
  return value as Json;
}

/** An array, which Go's encoder writes as null when it is empty. */
function list(value: unknown, path: string): readonly unknown[] {
  if (value === null || value === undefined) return [];
  if (!Array.isArray(value)) fail(path, `${show(value)} is not an array`);
  return value;
}

function string(value: unknown, path: string): string {
  if (typeof value !== "string") fail(path, `${show(value)} is not a string`);
  return value;
}

function oneOf<T extends string>(value: unknown, path: string, known: readonly T[]): T {
  if (!(known as readonly unknown[]).includes(value))
    fail(path, `${show(value)} is none of ${known.join(", ")}`);
  return value as T;
}

function integer(value: unknown, path: string, maximum: number): number {
  if (typeof value !== "number" || !Number.isInteger(value) || value < 0 || value > maximum)
    fail(path, `${show(value)} is not an integer from 0 to ${maximum}`);
  return value;
}

function uint64(value: unknown, path: string): Value {
  if (typeof value === "bigint" && value >= 0n && value <= MAX_U64) return value;
  if (typeof value === "number" && Number.isSafeInteger(value) && value >= 0) return value;
  return fail(path, `${show(value)} is not an unsigned 64-bit integer`);
}

/** The key with what `parse` makes of its value; nothing if the object has none. */
function optional<K extends string, T>(
  json: Json,
  key: K,
  path: string,
  parse: (value: unknown, path: string) => T,
): { readonly [key in K]?: T } {
  const value = json[key];
  if (value === undefined || value === null) return {};
  return { [key]: parse(value, `${path}.${key}`) } as { readonly [key in K]?: T };
}

function errnoFor(action: Action, key: string) {
  return (value: unknown, path: string): number => {
    if (action !== "SCMP_ACT_ERRNO" && action !== "SCMP_ACT_TRACE")
      fail(path, `${action} takes no ${key}`);
    return integer(value, path, MAX_DATA);
  };
}

const actions = Object.keys(ACTIONS) as Action[];
const flags = Object.keys(FLAGS) as (keyof typeof FLAGS)[];

function parseArgument(value: unknown, path: string): Argument {
  const json = object(value, path);
  return {
    index: integer(json["index"], `${path}.index`, MAX_ARGUMENT),
    value: uint64(json["value"] ?? 0, `${path}.value`),
    ...optional(json, "valueTwo", path, uint64),
    op: oneOf(json["op"], `${path}.op`, OPERATORS),
  };
}

function parseNames(json: Json, path: string): string[] {
  const names: string[] = [];
  for (const name of list(json["names"], `${path}.names`)) {
    // There are hundreds: paths are for those that are wrong.
    const text = typeof name === "string" ? name : string(name, `${path}.names[${names.length}]`);
    if (text === "") fail(`${path}.names[${names.length}]`, "is empty");
    names.push(text);
  }
  // "name" is how profiles were written before Docker 1.13; its tools still wrote an empty one later.
  const old = json["name"];
  if (old === undefined || old === "") {
    if (names.length === 0) fail(`${path}.names`, "names no system call");
    return names;
  }
  if (names.length > 0) fail(`${path}.name`, "stands beside names; use one of them");
  return [string(old, `${path}.name`)];
}

function parseRule(value: unknown, path: string): ConditionalRule {
  const json = object(value, path);
  const action = oneOf(json["action"], `${path}.action`, actions);
  const args = list(json["args"], `${path}.args`);
  return {
    names: parseNames(json, path),
    action,
    ...optional(json, "errnoRet", path, errnoFor(action, "errnoRet")),
    ...(args.length > 0
      ? { args: args.map((arg, index) => parseArgument(arg, `${path}.args[${index}]`)) }
      : {}),
    ...optional(json, "includes", path, parseFilter),
    ...optional(json, "excludes", path, parseFilter),
  };
}

function strings(value: unknown, path: string): string[] {
  return list(value, path).map((item, index) => string(item, `${path}[${index}]`));
}

function parseFilter(value: unknown, path: string): RuleFilter {
  const json = object(value, path);
  return {
    ...optional(json, "caps", path, strings),
    ...optional(json, "arches", path, strings),
    ...optional(json, "minKernel", path, (version, at) => {
      const text = string(version, at);
      return /^\d{1,3}\.\d{1,3}$/.test(text) ? text : fail(at, `${show(text)} is no "4.8"`);
    }),
  };
}

const parseArchitectures = (value: unknown, path: string) =>
  list(value, path).map((arch, index) => oneOf(arch, `${path}[${index}]`, ARCHITECTURES));

function parseArchMap(value: unknown, path: string) {
  return list(value, path).map((entry, index) => {
    const at = `${path}[${index}]`;
    const json = object(entry, at);
    return {
      architecture: oneOf(json["architecture"], `${at}.architecture`, ARCHITECTURES),
      subArchitectures: parseArchitectures(json["subArchitectures"], `${at}.subArchitectures`),
    };
  });
}

const parseFlags = (value: unknown, path: string) =>
  list(value, path).map((flag, index) => oneOf(flag, `${path}[${index}]`, flags));

function isNotified(json: Json): boolean {
  return list(json["syscalls"], "").some((rule) => (rule as Json)["action"] === "SCMP_ACT_NOTIFY");
}

/** What the specification says of notification, and what would hang the process that sets it up. */
function checkNotification(profile: DockerProfile, path: string, isNotified: boolean): void {
  if (profile.defaultAction === "SCMP_ACT_NOTIFY")
    fail(`${path}.defaultAction`, "SCMP_ACT_NOTIFY cannot be the default");
  for (const [index, { action, names }] of profile.syscalls.entries()) {
    if (action === "SCMP_ACT_NOTIFY" && names.includes("write"))
      fail(
        `${path}.syscalls[${index}]`,
        "SCMP_ACT_NOTIFY cannot be for write, which hands over the listener",
      );
  }
  if (isNotified && profile.listenerPath === undefined)
    fail(`${path}.listenerPath`, "is missing, and SCMP_ACT_NOTIFY needs it");
  const waits = profile.flags?.indexOf("SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV") ?? -1;
  if (waits >= 0 && !isNotified)
    fail(`${path}.flags[${waits}]`, "only counts with SCMP_ACT_NOTIFY, which no rule has");
}

/**
 * Checks a profile in Docker's form, which every profile of the OCI specification is too.
 * @param value parsed JSON; integers may be bigints
 * @param path where it stands, for errors
 * @throws MydockerError that names the JSON path
 */
export function validateProfile(value: unknown, path = "$"): DockerProfile {
  const json = object(value, path);
  const defaultAction = oneOf(json["defaultAction"], `${path}.defaultAction`, actions);
  const profile: DockerProfile = {
    defaultAction,
    ...optional(json, "defaultErrnoRet", path, errnoFor(defaultAction, "defaultErrnoRet")),
    ...optional(json, "architectures", path, parseArchitectures),
    ...optional(json, "archMap", path, parseArchMap),
    ...optional(json, "flags", path, parseFlags),
    ...optional(json, "listenerPath", path, string),
    ...optional(json, "listenerMetadata", path, string),
    syscalls: list(json["syscalls"], `${path}.syscalls`).map((rule, index) =>
      parseRule(rule, `${path}.syscalls[${index}]`),
    ),
  };
  if ((profile.architectures?.length ?? 0) > 0 && (profile.archMap?.length ?? 0) > 0)
    fail(`${path}.archMap`, "stands beside architectures; use one of them");
  checkNotification(profile, path, isNotified(json));
  return profile;
}

/**
 * Checks linux.seccomp of a config.json.
 * @param value parsed JSON; integers may be bigints
 * @throws MydockerError that names the JSON path
 */
export function validateSeccomp(value: unknown, path = "linux.seccomp"): Seccomp {
  const { archMap, syscalls, ...rest } = validateProfile(value, path);
  if (archMap !== undefined) fail(`${path}.archMap`, "is Docker's, and not of the specification");
  for (const [index, rule] of syscalls.entries()) {
    for (const key of ["includes", "excludes"] as const) {
      if (rule[key] !== undefined)
        fail(`${path}.syscalls[${index}].${key}`, "is Docker's, and not of the specification");
    }
  }
  return { ...rest, syscalls };
}

/** Integers that a number cannot hold become bigints: arguments are unsigned 64-bit integers. */
function exactIntegers(_key: string, value: unknown, context?: { source?: string }): unknown {
  if (typeof value !== "number" || Number.isSafeInteger(value)) return value;
  return context?.source !== undefined && /^-?\d+$/.test(context.source)
    ? BigInt(context.source)
    : value;
}

/** JSON.parse for what holds 64-bit integers. @throws SyntaxError */
export function parseExactJson(text: string): unknown {
  return JSON.parse(text, exactIntegers);
}

/**
 * Reads the text of a profile file.
 * @throws MydockerError for what is no JSON or no profile
 */
export function parseProfileText(text: string, path = "$"): DockerProfile {
  let json: unknown;
  try {
    json = parseExactJson(text);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new MydockerError(`seccomp profile: not JSON: ${reason}`, { cause });
  }
  return validateProfile(json, path);
}
