import { expect, test } from "bun:test";
import { decodeBytes, encodeBytes } from "../ffi/bytes.ts";
import { shellWord } from "./shell_word.ts";

const every = decodeBytes(Uint8Array.from({ length: 255 }, (_, index) => index + 1));
const words = [
  ...["plain", "", "a b", "it's", "$(id)", "`id`", "!!", "~", "*", "a=b", "=a", "-x", "#no", "é"],
  ...["new\nline", "tab\there", "\u001b[2J", "\u0085", "\\", "a\\nb", "'", "\n'\\", every],
  ...["1\u001b1", "\udcff0"],
];

test("bash reads every word as it was", () => {
  const line = words.map(shellWord).join(" ");
  const { stdout } = Bun.spawnSync({
    cmd: ["bash", "-c", encodeToArgument(`printf '%s\\0' ${line}`)],
    env: { LC_ALL: "C.UTF-8" },
  });
  expect(decodeBytes(stdout).split("\0").slice(0, -1)).toEqual(words);
});

test("what a terminal could take for an order is not printed", () => {
  for (const word of words) expect(encodeBytes(shellWord(word))).not.toContain(0x1b);
});

/** Everything that is no ASCII is escaped, or is UTF-8. */
const encodeToArgument = (text: string): string => new TextDecoder().decode(encodeBytes(text));
