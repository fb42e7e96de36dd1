/** `--filter NAME=VALUE`, as Docker has it (moby: api/types/filters). */
import { MydockerError, UsageError } from "../../errors.ts";

/** One filter as it was given. */
export interface Filter {
  readonly name: string;
  readonly value: string;
}

/** One `--filter`. */
export function parseFilter(text: string): Filter {
  const sign = text.indexOf("=");
  if (sign < 1) throw new UsageError("bad format of filter (expected name=value)");
  const name = text.slice(0, sign).trim().toLowerCase();
  return { name, value: text.slice(sign + 1).trim() };
}

/** Refuses what a command does not know. */
export function checkFilters(filters: readonly Filter[], known: readonly string[]): void {
  const unknown = filters.find(({ name }) => !known.includes(name));
  if (unknown !== undefined) throw new MydockerError(`invalid filter '${unknown.name}'`);
}

/** Values of the filters of a name. */
export function valuesOf(filters: readonly Filter[], name: string): string[] {
  return filters.filter((filter) => filter.name === name).map(({ value }) => value);
}

/** `dangling=true`; undefined when it is not among the filters. */
export function booleanFilter(filters: readonly Filter[], name: string): boolean | undefined {
  const said = valuesOf(filters, name);
  if (said.length === 0) return undefined;
  const isTrue = said.some((value) => ["true", "1"].includes(value));
  const isFalse = said.some((value) => ["false", "0"].includes(value));
  if (isTrue === isFalse) throw new MydockerError(`invalid filter '${name}=[${said.join(" ")}]'`);
  return isTrue;
}

/** `key` or `key=value`, all of which labels have to have. */
export function hasLabels(
  labels: Readonly<Record<string, string>>,
  wanted: readonly string[],
): boolean {
  return wanted.every((each) => hasLabel(labels, each));
}

/** `key` or `key=value`. */
export function hasLabel(labels: Readonly<Record<string, string>>, wanted: string): boolean {
  const sign = wanted.indexOf("=");
  const key = sign < 0 ? wanted : wanted.slice(0, sign);
  if (!Object.hasOwn(labels, key)) return false;
  return sign < 0 || labels[key] === wanted.slice(sign + 1);
}
