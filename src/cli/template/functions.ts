/** The functions of Go's templates, and Docker's own (docker/cli, templates/templates.go). */
import { templateError } from "./lexer.ts";

/** What a name in a template calls; throws a MydockerError for arguments that it cannot take. */
export type TemplateFunction = (args: readonly unknown[]) => unknown;

/** Go's idea of an empty value is false. */
export function isTrue(value: unknown): boolean {
  if (Array.isArray(value)) return value.length > 0;
  if (typeof value === "object" && value !== null) return Object.keys(value).length > 0;
  return Boolean(value);
}

/** As fmt.Print writes it: `[a b]`, `map[a:1]`. */
export function say(value: unknown): string {
  if (value === undefined || value === null) return "<no value>";
  if (Array.isArray(value)) return `[${value.map(say).join(" ")}]`;
  if (typeof value !== "object") return String(value);
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return `map[${entries.map(([key, each]) => `${key}:${say(each)}`).join(" ")}]`;
}

/** Only what the data itself has: nothing of JavaScript's objects. */
export function member(of: unknown, key: unknown): unknown {
  if (Array.isArray(of)) {
    if (typeof key !== "number" || key < 0 || key >= of.length)
      throw templateError(`error calling index: index out of range: ${String(key)}`);
    return of[key];
  }
  if (typeof of !== "object" || of === null)
    throw templateError(`error calling index: can't index ${say(of)}`);
  return Object.hasOwn(of, String(key)) ? (of as Record<string, unknown>)[String(key)] : undefined;
}

function length([of]: readonly unknown[]): number {
  if (Array.isArray(of)) return of.length;
  if (typeof of === "string") return new TextEncoder().encode(of).length;
  if (typeof of === "object" && of !== null) return Object.keys(of).length;
  throw templateError(`error calling len: len of ${say(of)}`);
}

function compare(test: (a: number | string, b: number | string) => boolean): TemplateFunction {
  return ([a, b]) => {
    if ((typeof a === "number" || typeof a === "string") && typeof a === typeof b)
      return test(a, b as typeof a);
    throw templateError("error calling comparison: incompatible types for comparison");
  };
}

const text = (value: unknown): string => (typeof value === "string" ? value : say(value));

/**
 * JSON that every parser reads. Bytes that are not UTF-8 are lone surrogates in our strings, which
 * JSON.stringify writes as escapes that many refuse: they become U+FFFD, as Go's encoder has it.
 */
export const toJson = (value: unknown): string =>
  JSON.stringify(value, (_, each) => (typeof each === "string" ? each.toWellFormed() : each));

export const FUNCTIONS: Readonly<Record<string, TemplateFunction>> = {
  json: ([value]) => toJson(value ?? null),
  split: ([value, by]) => text(value).split(text(by)),
  join: ([list, by]) => (Array.isArray(list) ? list.map(text).join(text(by)) : text(list)),
  title: ([value]) => text(value).replace(/(^|\s)\p{L}/gu, (start) => start.toUpperCase()),
  lower: ([value]) => text(value).toLowerCase(),
  upper: ([value]) => text(value).toUpperCase(),
  truncate: ([value, length]) => [...text(value)].slice(0, Number(length)).join(""),
  print: (values) => values.map(say).join(""),
  println: (values) => `${values.map(say).join(" ")}\n`,
  index: ([of, ...keys]) => keys.reduce(member, of),
  len: length,
  and: (values) => values.find((value) => !isTrue(value)) ?? values.at(-1),
  or: (values) => values.find(isTrue) ?? values.at(-1),
  not: ([value]) => !isTrue(value),
  eq: ([first, ...others]) => others.includes(first),
  ne: ([a, b]) => a !== b,
  lt: compare((a, b) => a < b),
  le: compare((a, b) => a <= b),
  gt: compare((a, b) => a > b),
  ge: compare((a, b) => a >= b),
};

/** For a table's heading, where a column's name stands for its value and is left as it is. */
export const HEADING_FUNCTIONS: Readonly<Record<string, TemplateFunction>> = {
  ...FUNCTIONS,
  ...Object.fromEntries(
    ["json", "split", "join", "title", "lower", "upper", "truncate"].map((name) => [
      name,
      ([value]: readonly unknown[]) => value,
    ]),
  ),
};
