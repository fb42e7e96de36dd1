/** Patterns as Go's path.Match reads them, which is what `--filter reference=` takes. */
import { MydockerError } from "../errors.ts";

/** `*` and `?` stop at a slash; `[a-z]`, `[^a-z]`; a backslash makes the next character plain. */
export function compilePattern(pattern: string): (text: string) => boolean {
  let source = "";
  const chars = [...pattern];
  for (let at = 0; at < chars.length; at++) {
    const char = chars[at] as string;
    if (char === "*") source += "[^/]*";
    else if (char === "?") source += "[^/]";
    else if (char === "\\") source += literal(chars[++at]);
    else if (char === "[") {
      const set = takeSet(chars, at + 1);
      source += set.source;
      at = set.last;
    } else source += literal(char);
  }
  const expression = new RegExp(`^(?:${source})$`, "su");
  return (text) => expression.test(text);
}

function takeSet(chars: readonly string[], start: number): { source: string; last: number } {
  let at = start;
  const negated = chars[at] === "^";
  if (negated) at++;
  let ranges = "";
  const one = (): string => {
    const char = chars[at++];
    if (char === "-" || char === "]") throw badPattern();
    return literal(char === "\\" ? chars[at++] : char);
  };
  for (let first = true; first || chars[at] !== "]"; first = false) {
    const low = one();
    if (chars[at] !== "-") ranges += low;
    else {
      at++;
      const high = one();
      // An empty range, which matches nothing in Go, and is an error in a regular expression.
      if (codeOf(low) <= codeOf(high)) ranges += `${low}-${high}`;
    }
  }
  if (ranges === "") return { source: negated ? "[^/]" : "(?!)", last: at };
  return { source: negated ? `[^${ranges}]` : `[${ranges}]`, last: at };
}

const codeOf = (escaped: string): number => Number.parseInt(escaped.slice(3, -1), 16);

function literal(char: string | undefined): string {
  const code = char?.codePointAt(0);
  if (code === undefined) throw badPattern();
  return `\\u{${code.toString(16)}}`;
}

const badPattern = () => new MydockerError("syntax error in pattern");
