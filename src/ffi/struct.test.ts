import { expect, test } from "bun:test";
import { defineStruct } from "./struct.ts";

test("fields are aligned as C aligns them, and the size is padded", () => {
  const mixed = defineStruct({ a: "u8", b: "u64", c: "u16", d: "i32", e: { bytes: 3 } });
  expect(mixed.offsets).toEqual({ a: 0, b: 8, c: 16, d: 20, e: 24 });
  expect(mixed.size).toBe(32);
});

test("an array of bytes needs no alignment", () => {
  const packed = defineStruct({ a: "u8", b: { bytes: 5 }, c: "u16" });
  expect(packed.offsets).toEqual({ a: 0, b: 1, c: 6 });
  expect(packed.size).toBe(8);
});

test("values of every type come back, at the ends of their ranges", () => {
  const all = defineStruct({
    a: "u8",
    b: "i8",
    c: "u16",
    d: "i16",
    e: "u32",
    f: "i32",
    g: "u64",
    h: "i64",
  });
  const buffer = all.alloc(2);
  expect(buffer).toHaveLength(all.size * 2);
  const values = {
    a: [0, 255],
    b: [-128, 127],
    c: [0, 65535],
    d: [-32768, 32767],
    e: [0, 2 ** 32 - 1],
    f: [-(2 ** 31), 2 ** 31 - 1],
    g: [0, 2 ** 53],
    h: [-(2 ** 53), 2 ** 53],
  } as const;
  for (const index of [0, 1]) {
    for (const [field, pair] of Object.entries(values)) {
      all.set(buffer, field as keyof typeof values, pair[index] as number, index);
    }
  }
  for (const index of [0, 1]) {
    for (const [field, pair] of Object.entries(values)) {
      expect([field, all.get(buffer, field as keyof typeof values, index)]).toEqual([
        field,
        pair[index] as number,
      ]);
    }
  }
});

test("64-bit values keep all their bits as bigints", () => {
  const one = defineStruct({ flags: "u64" });
  const buffer = one.alloc();
  one.set(buffer, "flags", 2n ** 64n - 1n);
  expect(new DataView(buffer.buffer).getBigUint64(0, true)).toBe(2n ** 64n - 1n);
  one.set(buffer, "flags", -1);
  expect(new DataView(buffer.buffer).getBigUint64(0, true)).toBe(2n ** 64n - 1n);
});

test("a buffer that starts inside another one is read from its own start", () => {
  const one = defineStruct({ value: "u32" });
  const buffer = new Uint8Array(16).subarray(8);
  one.set(buffer, "value", 7);
  expect(new Uint8Array(buffer.buffer)[8]).toBe(7);
  expect(one.get(buffer, "value")).toBe(7);
});
