import { expect, test } from "bun:test";
import { constants } from "node:os";
import { type ErrnoCode, errnoCode, errnoNumbers, errnoText } from "./errno.ts";

const E = errnoNumbers();

test("numbers are those of this machine's C library, as Node knows them", () => {
  const theirs = new Map(Object.entries(constants.errno));
  const known = Object.entries(E).filter(([code]) => theirs.has(code));
  expect(known.length).toBeGreaterThan(60);
  for (const [code, number] of known)
    expect([code, number]).toEqual([code, theirs.get(code) as number]);
});

test("each number has one name and a text", () => {
  const numbers = Object.values(E);
  expect(new Set(numbers).size).toBe(numbers.length);
  for (const [code, number] of Object.entries(E)) {
    expect(errnoCode(number)).toBe(code as ErrnoCode);
    expect(errnoText(number)).toMatch(/^[a-z]/);
  }
});

test("a number that is not in the table is said as a number", () => {
  expect(String(errnoCode(4095))).toBe("E4095");
  expect(errnoText(4095)).toBe("unknown error 4095");
});
