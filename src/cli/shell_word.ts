/** Words as a shell reads them. */

/** What no shell sees anything in. */
const PLAIN = /^[\w@%+:,./-][\w@%+=:,./-]*$/;

/**
 * One word that means exactly these bytes: as it is, in single quotes, or, with control characters
 * and bytes that are no UTF-8, which a terminal is not to get, in bash's `$'…'`.
 */
export function shellWord(text: string): string {
  if (PLAIN.test(text)) return text;
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  if (!/[\x00-\x1f\x7f-\x9f\udc80-\udcff]/.test(text)) {
    return `'${text.replaceAll("'", `'\\''`)}'`;
  }
  let quoted = "";
  for (const char of text) {
    const code = char.codePointAt(0) as number;
    if (char === "\n") quoted += "\\n";
    else if (char === "\\" || char === "'") quoted += `\\${char}`;
    else if (code >= 0xdc80 && code <= 0xdcff) quoted += `\\x${(code - 0xdc00).toString(16)}`;
    else if (code < 0x20 || code === 0x7f) quoted += `\\x${code.toString(16).padStart(2, "0")}`;
    // In UTF-8, two bytes.
    else if (code >= 0x80 && code <= 0x9f) quoted += `\\xc2\\x${code.toString(16)}`;
    else quoted += char;
  }
  return `$'${quoted}'`;
}
