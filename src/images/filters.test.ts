import { describe, expect, test } from "bun:test";
import { type ImageFilter, readFilters, timeMade } from "./filters.ts";
import type { Image } from "./image.ts";
import { familiarReference, parseReference } from "./reference.ts";

const digest = `sha256:${"a".repeat(64)}`;
const times = () => 1000;
const filters = (...texts: string[]): ImageFilter[] =>
  texts.map((text) => ({
    name: text.slice(0, text.indexOf("=")),
    value: text.slice(text.indexOf("=") + 1),
  }));
const shown = (names: readonly string[], ...texts: string[]) =>
  readFilters(filters(...texts), times)
    .names(names.map(parseReference))
    ?.map(familiarReference);

test.each([
  [["a:1", "b:2"], ["reference=a"], ["a:1"]],
  [["a:1", "b:2"], ["reference=*:2"], ["b:2"]],
  [
    ["a:1", "b:2"],
    ["reference=a", "reference=b:*"],
    ["a:1", "b:2"],
  ],
  [["x/a:1"], ["reference=a"], undefined],
  [["x/a:1"], ["reference=*/a"], ["x/a:1"]],
  [[`a@${digest}`], ["reference=a"], [`a@${digest}`]],
  [[], ["reference=*"], undefined],
  [[], ["dangling=true"], []],
  [[], ["dangling=1"], []],
  [[], ["dangling=false"], undefined],
  [["a:1"], ["dangling=true"], undefined],
  [["a:1"], ["dangling=0"], ["a:1"]],
  [[`a@${digest}`], ["dangling=true"], [`a@${digest}`]],
] as const)("of the names %j, %j leaves %j", (names, texts, expected) => {
  expect<unknown>(shown(names, ...texts)).toEqual(expected);
});

describe("an image", () => {
  const image = (created: string, labels: Record<string, string> = {}): Image => ({
    id: digest,
    created,
    config: {
      architecture: "amd64",
      os: "linux",
      config: { Labels: labels },
      rootfs: { type: "layers", diff_ids: [] },
    },
    layers: [],
    references: [],
    size: 0,
  });
  const labelled = image("1970-01-01T00:00:01.0000005Z", { a: "1", b: "" });
  test.each([
    ["label=a", true],
    ["label=a=1", true],
    ["label=a=2", false],
    ["label=b=", true],
    ["label=c", false],
    ["label=toString", false],
    ["since=x", true],
    ["before=x", false],
    ["until=1.5", true],
    ["until=0.5", false],
  ])("with labels, made just after another: %s: %p", (filter, expected) => {
    expect(readFilters(filters(filter), times).accepts(labelled)).toBe(expected);
  });

  test("that is the other one itself is neither before nor after it", () => {
    const itself = image("1970-01-01T00:00:01Z");
    expect(readFilters(filters("before=x"), times).accepts(itself)).toBe(false);
    expect(readFilters(filters("since=x"), times).accepts(itself)).toBe(false);
  });

  test("has to meet all labels", () => {
    expect(readFilters(filters("label=a", "label=c"), times).accepts(labelled)).toBe(false);
  });
});

test.each([
  ["dangling=x", "invalid filter 'dangling=[x]'"],
  ["colour=red", "invalid filter 'colour'"],
  ["reference=[", "syntax error in pattern"],
  ["until=soon", "invalid filter 'until=[soon]'"],
])("%s is refused", (filter, message) => {
  expect(() => readFilters(filters(filter), times)).toThrow(message);
});

test("times are told apart below a millisecond", () => {
  expect(timeMade("2020-01-01T00:00:00.123456Z")).toBeLessThan(
    timeMade("2020-01-01T00:00:00.123457Z"),
  );
  expect(timeMade("")).toBe(0);
});
