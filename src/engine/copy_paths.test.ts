import { expect, test } from "bun:test";
import { absolutePath, splitEntry } from "./copy_paths.ts";

test.each([
  ["a", "/w/a"],
  ["a/", "/w/a/"],
  ["a/.", "/w/a/."],
  [".", "/w/."],
  ["./", "/w/"],
  ["..", "/"],
  ["/", "/"],
  ["/.", "/."],
  ["/a//b/../c/./", "/a/c/"],
  ["../../x", "/x"],
  ["a\nb\udcff", "/w/a\nb\udcff"],
])("%j in /w is %j", (path, absolute) => {
  expect(absolutePath(path, "/w")).toBe(absolute);
});

test.each([
  ["/a/b", "/a", "b"],
  ["/a/b/", "/a", "b"],
  ["/a/b/.", "/a/b", "."],
  ["/a", "/", "a"],
  ["/.", "/", "."],
  ["/", "/", "/"],
])("%j is in %j as %j", (path, parent, name) => {
  expect(splitEntry(path)).toEqual({ parent, name });
});
