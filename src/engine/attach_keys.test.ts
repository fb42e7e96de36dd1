import { describe, expect, test } from "bun:test";
import { DEFAULT_DETACH_KEYS, DetachKeys, parseDetachKeys } from "./attach_keys.ts";

describe("the keys", () => {
  test.each([
    [DEFAULT_DETACH_KEYS, [16, 17]],
    ["a", [97]],
    ["ctrl-a,b,ctrl-@", [1, 98, 0]],
    ["ctrl-\\,ctrl-]", [28, 29]],
  ])("%s", (text, bytes) => {
    expect([...parseDetachKeys(text)]).toEqual(bytes);
  });

  test.each(["", "ctrl-", "ctrl-1", "ab", "é"])("%j is refused", (text) => {
    expect(() => parseDetachKeys(text)).toThrow("Unknown character");
  });
});

describe("among what is typed", () => {
  const typed = (...pieces: string[]) => {
    const keys = new DetachKeys(parseDetachKeys("x,x,y"));
    let passed = "";
    for (const piece of pieces) {
      const result = keys.filter(new TextEncoder().encode(piece));
      passed += new TextDecoder().decode(result.passed);
      if (result.detached) return `${passed}|`;
    }
    return passed;
  };

  test.each([
    [["abc"], "abc"],
    [["abxxyc"], "ab|"],
    [["abx", "x", "y"], "ab|"],
    [["ax", "b"], "axb"],
    [["axxb"], "axxb"],
    [["xyxxy"], "xy|"],
  ])("%j", (pieces, expected) => {
    expect(typed(...pieces)).toBe(expected);
  });

  test("none are never found", () => {
    expect(new DetachKeys(new Uint8Array(0)).filter(Uint8Array.of(16, 17))).toEqual({
      passed: Uint8Array.of(16, 17),
      detached: false,
    });
  });
});
