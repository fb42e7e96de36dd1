import { expect, test } from "bun:test";
import { numbersIn } from "./directory_entries.ts";

/** struct linux_dirent64 with a name, in 8-byte steps as the kernel writes it. */
function entry(name: string, ino: number): number[] {
  const length = Math.ceil((19 + name.length + 1) / 8) * 8;
  const bytes = new Uint8Array(length);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(ino), true);
  bytes[16] = length;
  bytes.set(new TextEncoder().encode(name), 19);
  return [...bytes];
}

test("only names that are numbers are told, whatever the inodes look like", () => {
  // An inode number whose bytes read "17\0".
  const bytes = [
    ...entry(".", 1),
    ...entry("..", 2),
    ...entry("0", 0x00_37_31),
    ...entry("4711", 3),
  ];
  const buffer = new Uint8Array([
    ...bytes,
    ...entry("12x", 4),
    ...entry("x12", 5),
    ...entry("9", 6),
  ]);
  expect(numbersIn(buffer, buffer.length)).toEqual([0, 4711, 9]);
  expect(numbersIn(buffer, bytes.length)).toEqual([0, 4711]);
});

test("what lies behind the length that was read is not looked at", () => {
  const buffer = new Uint8Array([...entry("1", 1), ...entry("2", 2)]);
  expect(numbersIn(buffer, entry("1", 1).length)).toEqual([1]);
  expect(numbersIn(buffer, 0)).toEqual([]);
});
