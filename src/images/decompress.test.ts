import { expect, test } from "bun:test";
import { detectCompression } from "./decompress.ts";

test.each([
  [[0x1f, 0x8b, 8], "gzip"],
  [[0x28, 0xb5, 0x2f, 0xfd], "zstd"],
  [[0x5a, 0x2a, 0x4d, 0x18], "zstd"],
  [[0x2e, 0x2f, 0, 0, 0, 0], "none"],
  [[], "none"],
  [[0x1f], "none"],
] as const)("the bytes %j begin a file of kind %s", (bytes, kind) => {
  expect(detectCompression(Uint8Array.from(bytes))).toBe(kind);
});

test.each([
  ["BZh9", "bzip2"],
  ["\xfd7zXZ\0", "xz"],
  ["\x04\x22\x4d\x18", "lz4"],
  ["LZIP\x01", "lzip"],
  ["\x1f\x9d\x90", "compress"],
])("%j is not supported, and said to be %s", (start, name) => {
  expect(() => detectCompression(Uint8Array.from(start, (char) => char.charCodeAt(0)))).toThrow(
    `compressed with ${name} is not supported`,
  );
});
