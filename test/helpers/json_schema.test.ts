import { expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { schemaProblems } from "./json_schema.ts";

test("the checker finds what breaks a schema, across files", () => {
  const folder = mkdtempSync(join(tmpdir(), "mydocker-schema-"));
  try {
    const file = join(folder, "a.json");
    writeFileSync(
      join(folder, "b.json"),
      '{"definitions": {"small": {"type": "integer", "minimum": 0, "maximum": 9}}}',
    );
    writeFileSync(
      file,
      JSON.stringify({
        type: "object",
        required: ["a"],
        properties: {
          a: { type: "array", minItems: 1, items: { $ref: "b.json#/definitions/small" } },
          b: { type: "string", pattern: "^x", enum: ["x", "xy"] },
          c: { anyOf: [{ type: "boolean" }, { allOf: [{ type: "string" }, { pattern: "y" }] }] },
        },
        patternProperties: { "^n": { type: "integer" } },
        additionalProperties: { type: "string" },
      }),
    );
    expect(schemaProblems(file, { a: [0, 9], b: "xy", c: "y", n1: 1, other: "s" })).toEqual([]);
    expect(schemaProblems(file, { a: [10, "1", 1.5], b: "y", c: 1, n1: "1", other: 2 })).toEqual([
      "$.a[0]: above the maximum",
      "$.a[1]: not of type integer",
      "$.a[2]: not of type integer",
      "$.b: not in enum",
      "$.b: not like ^x",
      "$.c: none of anyOf",
      "$.n1: not of type integer",
      "$.other: not of type string",
    ]);
    expect(schemaProblems(file, {})).toEqual(["$.a: missing"]);
    expect(schemaProblems(file, { a: [] })).toEqual(["$.a: too few items"]);
    expect(schemaProblems(file, null)).toEqual(["$: not of type object"]);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
