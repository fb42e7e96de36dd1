import { expect, test } from "bun:test";
import { elfMachine } from "./elf.ts";

/** A header for a machine, with the byte order of EI_DATA. */
function header(machine: number, data = 1): Uint8Array {
  const bytes = new Uint8Array(64);
  bytes.set([0x7f, 0x45, 0x4c, 0x46, 2, data, 1]);
  new DataView(bytes.buffer).setUint16(18, machine, true);
  return bytes;
}

test("the machine is read from a little-endian header", () => {
  expect(elfMachine(header(62))).toBe(62);
  expect(elfMachine(header(183))).toBe(183);
});

test("what is no ELF file, big-endian or cut off has none", () => {
  expect(elfMachine(header(62, 2))).toBeUndefined();
  expect(elfMachine(header(62).subarray(0, 19))).toBeUndefined();
  expect(elfMachine(new TextEncoder().encode("#!/bin/sh\necho not an ELF file"))).toBeUndefined();
});
