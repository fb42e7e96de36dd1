import { describe, expect } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { program, testIf } from "../../test/helpers/requires.ts";
import { CODE } from "./trampoline.ts";

/** socket, flags, terminal, listener: filled in when it is used */
const WORDS = 16;

describe("the trampoline's instructions are those of its source", () => {
  const assemblers = { x64: "x86_64-linux-gnu-", arm64: "aarch64-linux-gnu-" };
  for (const [machine, prefix] of Object.entries(assemblers)) {
    testIf([program(`${prefix}as`), program(`${prefix}objcopy`)], `on ${machine}`, () => {
      const folder = mkdtempSync(join(tmpdir(), "mydocker-"));
      try {
        const [object, binary] = [join(folder, "object"), join(folder, "binary")];
        const source = join(import.meta.dir, `../../build/trampoline/${machine}.s`);
        const assembled = Bun.spawnSync([`${prefix}as`, "-o", object, source]);
        expect(assembled.stderr.toString()).toBe("");
        Bun.spawnSync([`${prefix}objcopy`, "-O", "binary", "-j", ".text", object, binary]);
        const bytes = readFileSync(binary);
        expect(bytes.subarray(0, -WORDS).toBase64()).toBe(CODE[machine] as string);
        expect(bytes.subarray(-WORDS)).toEqual(Buffer.alloc(WORDS));
      } finally {
        rmSync(folder, { recursive: true });
      }
    });
  }
});
