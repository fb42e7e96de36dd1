/** Checks values against JSON schemas (draft 4), as far as the OCI specification's use them. */
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";

interface Schema {
  readonly $ref?: string;
  readonly type?: string;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly patternProperties?: Readonly<Record<string, Schema>>;
  readonly additionalProperties?: Schema;
  readonly required?: readonly string[];
  readonly items?: Schema;
  readonly minItems?: number;
  readonly enum?: readonly unknown[];
  readonly pattern?: string;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly anyOf?: readonly Schema[];
  readonly allOf?: readonly Schema[];
}

const KEYWORDS = new Set(
  "$ref type properties patternProperties additionalProperties required items minItems enum pattern minimum maximum anyOf allOf description $schema".split(
    " ",
  ),
);

const TYPES: Readonly<Record<string, (value: unknown) => boolean>> = {
  object: (value) => typeof value === "object" && value !== null && !Array.isArray(value),
  array: Array.isArray,
  string: (value) => typeof value === "string",
  boolean: (value) => typeof value === "boolean",
  integer: Number.isInteger,
};

const understood = new WeakSet<Schema>();
const documents = new Map<string, unknown>();

function load(file: string): unknown {
  let document = documents.get(file);
  if (document === undefined) {
    document = JSON.parse(readFileSync(file, "utf8"));
    documents.set(file, document);
  }
  return document;
}

/** Where a value breaks a schema's rules; empty: nowhere. */
export function schemaProblems(file: string, value: unknown): string[] {
  return check(load(file) as Schema, value, "$", file);
}

function resolve(reference: string, from: string): [schema: Schema, file: string] {
  const [name = "", pointer = ""] = reference.split("#");
  const file = name === "" ? from : join(dirname(from), name);
  let at = load(file);
  for (const part of pointer.split("/").slice(1)) at = (at as Record<string, unknown>)[part];
  if (at === undefined) throw new Error(`${from}: no ${reference}`);
  return [at as Schema, file];
}

function check(schema: Schema, value: unknown, path: string, file: string): string[] {
  if (!understood.has(schema)) {
    const unknown = Object.keys(schema).find((keyword) => !KEYWORDS.has(keyword));
    if (unknown !== undefined) throw new Error(`${file}: ${path}: ${unknown} is not implemented`);
    understood.add(schema);
  }
  if (schema.$ref !== undefined) {
    const [target, where] = resolve(schema.$ref, file);
    return check(target, value, path, where);
  }
  if (schema.type !== undefined) {
    const is = TYPES[schema.type];
    if (is === undefined)
      throw new Error(`${file}: ${path}: type ${schema.type} is not implemented`);
    if (!is(value)) return [`${path}: not of type ${schema.type}`];
  }
  const problems: string[] = [];
  if (schema.enum !== undefined && !schema.enum.includes(value))
    problems.push(`${path}: not in enum`);
  for (const all of schema.allOf ?? []) problems.push(...check(all, value, path, file));
  if (schema.anyOf?.every((any) => check(any, value, path, file).length > 0))
    problems.push(`${path}: none of anyOf`);
  if (typeof value === "string" && schema.pattern !== undefined) {
    if (!new RegExp(schema.pattern).test(value))
      problems.push(`${path}: not like ${schema.pattern}`);
  }
  if (typeof value === "number") {
    if (value < (schema.minimum ?? value)) problems.push(`${path}: below the minimum`);
    if (value > (schema.maximum ?? value)) problems.push(`${path}: above the maximum`);
  }
  if (Array.isArray(value)) {
    if (value.length < (schema.minItems ?? 0)) problems.push(`${path}: too few items`);
    const { items } = schema;
    if (items !== undefined)
      problems.push(...value.flatMap((item, at) => check(items, item, `${path}[${at}]`, file)));
  } else if (TYPES["object"]?.(value)) {
    problems.push(...checkObject(schema, value as Record<string, unknown>, path, file));
  }
  return problems;
}

function checkObject(
  schema: Schema,
  value: Record<string, unknown>,
  path: string,
  file: string,
): string[] {
  const problems = (schema.required ?? [])
    .filter((key) => !Object.hasOwn(value, key))
    .map((key) => `${path}.${key}: missing`);
  for (const [key, item] of Object.entries(value)) {
    const named = Object.hasOwn(schema.properties ?? {}, key)
      ? schema.properties?.[key]
      : undefined;
    const like = Object.entries(schema.patternProperties ?? {})
      .filter(([pattern]) => new RegExp(pattern).test(key))
      .map(([, rule]) => rule);
    const rules = [...(named === undefined ? [] : [named]), ...like];
    if (rules.length === 0 && schema.additionalProperties !== undefined)
      rules.push(schema.additionalProperties);
    for (const rule of rules) problems.push(...check(rule, item, `${path}.${key}`, file));
  }
  return problems;
}
