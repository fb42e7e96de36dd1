import { describe, expect, test } from "bun:test";
import { cString, decodeBytes, encodeBytes } from "./bytes.ts";

/** A generator whose numbers are the same in each run (mulberry32): a failure can be repeated. */
function numbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Bytes that are often nearly UTF-8: leads, continuations and text in any mixture. */
function someBytes(random: () => number): Uint8Array {
  const bytes = new Uint8Array(Math.floor(random() * 12));
  for (let i = 0; i < bytes.length; i++) {
    const kind = random();
    const value =
      kind < 0.3
        ? random() * 0x80
        : kind < 0.6
          ? 0x80 + random() * 0x40
          : kind < 0.9
            ? 0xc0 + random() * 0x40
            : random() * 256;
    bytes[i] = Math.floor(value);
  }
  return bytes;
}

describe("byte strings", () => {
  test("give back any bytes exactly, also by way of JSON", () => {
    const random = numbers(20);
    for (let round = 0; round < 100_000; round++) {
      const bytes = someBytes(random);
      const text = decodeBytes(bytes);
      const again = encodeBytes(round % 2 === 0 ? text : JSON.parse(JSON.stringify(text)));
      if (Buffer.compare(again, bytes) !== 0) {
        throw new Error(`${Buffer.from(bytes).toString("hex")} became ${again.toHex()}`);
      }
    }
  });

  test("are ordinary text where the bytes are UTF-8", () => {
    for (const text of ["", "plain", "ünï 世界 🐳", "\ufeffmark", "line\nbreak\t'\"\\"]) {
      expect(decodeBytes(new TextEncoder().encode(text))).toBe(text);
      expect(encodeBytes(text)).toEqual(new TextEncoder().encode(text));
    }
  });

  test.each([
    ["a lone continuation", [0x80], "\udc80"],
    ["Latin-1 in text", [0x66, 0xfc, 0x72], "f\udcfcr"],
    ["an overlong slash", [0xc0, 0xaf], "\udcc0\udcaf"],
    ["an encoded surrogate", [0xed, 0xb2, 0x80], "\udced\udcb2\udc80"],
    ["a code point past the last", [0xf4, 0x90, 0x80, 0x80], "\udcf4\udc90\udc80\udc80"],
    ["a sequence cut off", [0xe2, 0x82], "\udce2\udc82"],
    ["a byte that is never used", [0xff, 0x41], "\udcffA"],
  ])("keep %s as single bytes", (_, bytes, text) => {
    expect(decodeBytes(Uint8Array.from(bytes))).toBe(text);
    expect([...encodeBytes(text)]).toEqual(bytes);
  });
});

describe("cString", () => {
  test("ends in a NUL, whatever the bytes", () => {
    expect([...cString("ab")]).toEqual([0x61, 0x62, 0]);
    expect([...cString("\udcff")]).toEqual([0xff, 0]);
    expect([...cString("")]).toEqual([0]);
  });

  test("refuses a NUL inside, which C would take for the end", () => {
    expect(() => cString("safe\0/etc/passwd")).toThrow(TypeError);
  });
});
