/** What somebody types, visibly or not. */
import { RawTerminal } from "../engine/terminal.ts";
import { MydockerError } from "../errors.ts";
import { decodeBytes, encodeBytes } from "../ffi/bytes.ts";
import { read, writeAll } from "../linux/fd.ts";

/** Characters of a line that are taken. */
const LIMIT = 65536;
const CTRL_C = 3;
const CTRL_D = 4;
const CTRL_U = 21;
const ERASING = new Set([8, 127]);
const ENDING = new Set([10, 13]);

/** Asks on stdout, and reads a line from a terminal that does not show it. @throws when it is broken off */
export function readSecret(question: string): string {
  const bytes: number[] = [];
  const byte = new Uint8Array(1);
  {
    // Before the question: some answer at once.
    using _terminal = new RawTerminal(0);
    writeAll(1, encodeBytes(question), "stdout");
    for (;;) {
      const [code = CTRL_D] = read(0, byte) === 0 ? [] : byte;
      if (code === CTRL_C) throw new MydockerError("broken off", { exitCode: 130 });
      if (ENDING.has(code) || (code === CTRL_D && bytes.length === 0)) break;
      if (ERASING.has(code)) eraseCharacter(bytes);
      else if (code === CTRL_U) bytes.length = 0;
      else if (bytes.length < LIMIT) bytes.push(code);
    }
  }
  writeAll(1, encodeBytes("\n"), "stdout");
  return decodeBytes(Uint8Array.from(bytes));
}

/** One character of UTF-8, however many bytes it has. */
function eraseCharacter(bytes: number[]): void {
  for (let last = bytes.pop(); last !== undefined && (last & 0xc0) === 0x80; last = bytes.pop());
}
