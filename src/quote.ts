/** Strings as people see them in messages. */

const ESCAPES: Readonly<Record<string, string>> = {
  "\n": "\\n",
  "\r": "\\r",
  "\t": "\\t",
  '"': '\\"',
  "\\": "\\\\",
};

/** In double quotes, as Go's `%q` writes it: control characters and bytes that are not UTF-8 as `\xff`. */
export function quote(text: string): string {
  if (/^[ !#-[\]-~]*$/.test(text)) return `"${text}"`;
  let quoted = "";
  for (const char of text) {
    const code = char.codePointAt(0) as number;
    const short = ESCAPES[char];
    if (short !== undefined) quoted += short;
    else if (code >= 0xdc80 && code <= 0xdcff) quoted += `\\x${(code - 0xdc00).toString(16)}`;
    else if (code < 0x20 || code === 0x7f) quoted += `\\x${code.toString(16).padStart(2, "0")}`;
    else quoted += char;
  }
  return `"${quoted}"`;
}
