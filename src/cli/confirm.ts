/** Questions that are answered on stdin. */
import { decodeBytes } from "../ffi/bytes.ts";
import { read } from "../linux/fd.ts";
import { print } from "./output.ts";

/** Asks as Docker does (docker/cli: command/utils.go, PromptForConfirmation). @returns whether the answer is y: no answer is none */
export async function isConfirmed(question: string): Promise<boolean> {
  await print(`${question} [y/N] `);
  return readLine().toLowerCase() === "y";
}

/** What stands on the next line of stdin, and no more: the rest may be somebody else's. */
export function readLine(): string {
  const byte = new Uint8Array(1);
  let line = "";
  while (line.length < 1024 && read(0, byte) > 0) {
    const char = decodeBytes(byte);
    if (char === "\n") break;
    line += char;
  }
  return line.replace(/\r$/, "");
}
