import { expect, test } from "bun:test";
import { compilePattern } from "./path_match.ts";

// From Go's path/match_test.go.
test.each([
  ["abc", "abc", true],
  ["*", "abc", true],
  ["*c", "abc", true],
  ["a*", "a", true],
  ["a*", "ab/c", false],
  ["a*/b", "abc/b", true],
  ["a*/b", "a/c/b", false],
  ["a*b*c*d*e*/f", "axbxcxdxe/f", true],
  ["a*b?c*x", "abxbbxdbxebxczzx", true],
  ["a*b?c*x", "abxbbxdbxebxczzy", false],
  ["ab[c]", "abc", true],
  ["ab[b-d]", "abc", true],
  ["ab[e-g]", "abc", false],
  ["ab[^c]", "abc", false],
  ["ab[^e-g]", "abc", true],
  ["a\\*b", "a*b", true],
  ["a\\*b", "ab", false],
  ["a?b", "a☺b", true],
  ["a[^a]b", "a☺b", true],
  ["a???b", "a☺b", false],
  ["[a-ζ]*", "α", true],
  ["*[a-ζ]", "A", false],
  ["a?b", "a/b", false],
  ["[\\]a]", "]", true],
  ["[\\-]", "-", true],
  ["[x\\-]", "z", false],
  ["[z-a]", "b", false],
  ["*x", "xxx", true],
])("%s and %s: %p", (pattern, text, matches) => {
  expect(compilePattern(pattern)(text)).toBe(matches);
});

test.each(["[]a]", "[-]", "[x-]", "[-x]", "[", "[^", "[^bc", "a[", "\\"])(
  "%s is refused",
  (pattern) => {
    expect(() => compilePattern(pattern)).toThrow("syntax error in pattern");
  },
);
