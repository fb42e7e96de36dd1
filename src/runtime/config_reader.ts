/**
 * Reads a JSON value by a rule: checks types and ranges, fills in what may be left out, drops what the
 * specification does not know. One interpreter and tables of rules rather than a function for each
 * field: a function costs 10–50 µs when it is called for the first time, an entry of a table nothing.
 */
import { ConfigError, formatPath, type Step, show } from "./config_error.ts";

/** What a text has to look like. */
export interface TextCheck {
  readonly ok: (text: string) => boolean;
  /** for "…, expected …" */
  readonly expected: string;
}

interface Presence {
  readonly required?: true;
  /** What it is when it is left out, as JSON: read by the same rule. */
  readonly otherwise?: unknown;
  /** The empty text is the same as none, as it is to Go's decoders. */
  readonly emptyIsNone?: true;
}

/** What a value may be. */
export type Rule = Presence &
  (
    | { readonly kind: "boolean" }
    | { readonly kind: "text"; readonly check?: TextCheck; readonly anyByte?: true }
    | { readonly kind: "integer"; readonly min: number | bigint; readonly max: number | bigint }
    | { readonly kind: "word"; readonly words: readonly string[] }
    | { readonly kind: "list"; readonly of: Rule; readonly filled?: true; readonly most?: number }
    | { readonly kind: "map"; readonly of: Rule; readonly keys?: TextCheck }
    | StructRule
    | { readonly kind: "other"; read(value: unknown, path: string): unknown }
  );

/** An object with known fields. */
export interface StructRule {
  readonly kind: "struct";
  readonly fields: Readonly<Record<string, Rule>>;
  /** What concerns more than one field. May change the value, which is not yet anybody's. */
  finish?(value: object, reader: ConfigReader): void;
}

/** A value that is being read. */
export type Draft<T> = { -readonly [K in keyof T]: T[K] };

type Json = Readonly<Record<string, unknown>>;

/** Reads one document. */
export class ConfigReader {
  /** Where we are. */
  readonly #steps: Step[] = [];
  readonly #warnings: string[];

  /** @param warnings gets what is wrong and yet no error */
  constructor(warnings: string[]) {
    this.#warnings = warnings;
  }

  /** @throws {ConfigError} about a value below the one that is being read, or about that one */
  fail(what: string, ...below: Step[]): never {
    throw new ConfigError({ path: formatPath([...this.#steps, ...below]), what });
  }

  /** Tells of something that is wrong and yet no error. */
  warn(what: string, ...below: Step[]): void {
    this.#warnings.push(`${formatPath([...this.#steps, ...below])}: ${what}`);
  }

  /** The value by its rule. @throws {ConfigError} */
  read(rule: Rule, value: unknown): unknown {
    switch (rule.kind) {
      case "text":
        return this.#text(rule, value);
      case "struct":
        return this.#struct(rule, value);
      case "list":
        return this.#list(rule, value);
      case "integer":
        return this.#integer(rule, value);
      case "map":
        return this.#map(rule, value);
      case "word":
        if (typeof value === "string" && rule.words.includes(value)) return value;
        return this.#unexpected(rule, value);
      case "boolean":
        return typeof value === "boolean" ? value : this.#unexpected(rule, value);
      case "other":
        return rule.read(value, formatPath(this.#steps));
    }
  }

  #unexpected(rule: Rule, value: unknown, expected = describe(rule)): never {
    return this.fail(`${show(value)}, expected ${expected}`);
  }

  #text(rule: Rule & { kind: "text" }, value: unknown): string {
    if (typeof value !== "string") return this.#unexpected(rule, value);
    // The kernel would take it for the text's end.
    if (rule.anyByte === undefined && value.includes("\0")) this.fail(`${show(value)} has a NUL`);
    if (rule.check?.ok(value) === false) this.#unexpected(rule, value);
    return value;
  }

  #integer(rule: Rule & { kind: "integer" }, value: unknown): number {
    const isWhole = typeof value === "bigint" || Number.isInteger(value);
    const number = value as number;
    if (!isWhole || number < rule.min || number > rule.max) this.#unexpected(rule, value);
    return Number(number);
  }

  #list(rule: Rule & { kind: "list" }, value: unknown): unknown[] {
    if (!Array.isArray(value)) return this.#unexpected(rule, value);
    const { most = Number.POSITIVE_INFINITY } = rule;
    if (rule.filled && value.length === 0) this.#unexpected(rule, value, "at least one entry");
    if (value.length > most) this.fail(`${value.length} entries, expected at most ${most}`);
    const list: unknown[] = [];
    for (let index = 0; index < value.length; index++) {
      this.#steps.push(index);
      list.push(this.read(rule.of, value[index]));
      this.#steps.pop();
    }
    return list;
  }

  #map(rule: Rule & { kind: "map" }, value: unknown): unknown {
    // Spread, and then replaced in place, even "__proto__" is a field like others.
    const result: Record<string, unknown> = { ...this.#object(rule, value) };
    for (const key of Object.keys(result)) {
      this.#steps.push(key);
      if (key.includes("\0")) this.fail("the name has a NUL");
      if (rule.keys?.ok(key) === false) this.fail(`the name is not ${rule.keys.expected}`);
      result[key] = this.read(rule.of, result[key]);
      this.#steps.pop();
    }
    return result;
  }

  #struct(rule: StructRule, value: unknown): object {
    const json = this.#object(rule, value);
    const { fields } = rule;
    const result: Record<string, unknown> = {};
    for (const key in fields) {
      const field = fields[key] as Rule;
      // Go's encoders write null for an empty list, and its decoders take null for a field left out.
      const item = json[key] ?? field.otherwise;
      if (item === undefined || (item === "" && field.emptyIsNone)) {
        if (field.required) this.fail(`missing, expected ${describe(field)}`, key);
        continue;
      }
      this.#steps.push(key);
      result[key] = this.read(field, item);
      this.#steps.pop();
    }
    rule.finish?.(result, this);
    return result;
  }

  #object(rule: Rule, value: unknown): Json {
    const is = typeof value === "object" && value !== null && !Array.isArray(value);
    return is ? (value as Json) : this.#unexpected(rule, value);
  }
}

function describe(rule: Rule): string {
  switch (rule.kind) {
    case "boolean":
      return "true or false";
    case "text":
      return rule.check?.expected ?? "a string";
    case "integer":
      return `an integer from ${rule.min} to ${rule.max}`;
    case "word":
      return rule.words.length === 1 ? `${rule.words[0]}` : `one of ${rule.words.join(", ")}`;
    case "list":
      return "an array";
    case "map":
    case "struct":
    case "other":
      return "an object";
  }
}
