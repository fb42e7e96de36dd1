/** Cuts a Go template (text/template) into text and actions, and an action into tokens. */
import { MydockerError } from "../../errors.ts";

/** Text that is written as it is, or what stands between `{{` and `}}`. */
export type Piece =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "action"; readonly tokens: readonly Token[] };

/** A word of an action. */
export type Token =
  /** `.`, `.A`, `$` */
  | { readonly kind: "dot" }
  | { readonly kind: "root" }
  /** `attached`: no space before it, so that it is a field of what stands there. */
  | { readonly kind: "field"; readonly text: string; readonly attached: boolean }
  | { readonly kind: "word" | "symbol"; readonly text: string }
  | { readonly kind: "literal"; readonly value: string | number | boolean | null };

/** What is wrong with a template. */
export const templateError = (problem: string): MydockerError =>
  new MydockerError(`template parsing error: ${problem}`);

/** `{{- … -}}` takes the white space beside it along; comments vanish. */
export function cut(template: string): Piece[] {
  const pieces: Piece[] = [];
  let trimNext = false;
  for (let at = 0; at <= template.length; ) {
    const open = template.indexOf("{{", at);
    let text = template.slice(at, open < 0 ? undefined : open);
    if (trimNext) text = text.trimStart();
    if (open < 0) {
      if (text !== "") pieces.push({ kind: "text", text });
      return pieces;
    }
    const close = endOfAction(template, open + 2);
    let body = template.slice(open + 2, close);
    if (/^-\s/.test(body)) {
      text = text.trimEnd();
      body = body.slice(1);
    }
    trimNext = /\s-$/.test(body);
    if (trimNext) body = body.slice(0, -1);
    if (text !== "") pieces.push({ kind: "text", text });
    if (!/^\s*\/\*[\s\S]*\*\/\s*$/.test(body))
      pieces.push({ kind: "action", tokens: tokens(body) });
    at = close + 2;
  }
  return pieces;
}

/** Where the `}}` is that is not inside of a string. */
function endOfAction(template: string, from: number): number {
  const pattern = /"(?:[^"\\]|\\.)*"|`[^`]*`|\}\}/g;
  pattern.lastIndex = from;
  for (let match = pattern.exec(template); match !== null; match = pattern.exec(template))
    if (match[0] === "}}") return match.index;
  throw templateError("unclosed action");
}

const TOKEN =
  /\s+|(?<string>"(?:[^"\\]|\\.)*")|`(?<raw>[^`]*)`|(?<number>-?\d+(?:\.\d+)?)|\.(?<field>\w+)|(?<word>\w+)|(?<symbol>[.$|()])/uy;
const WORDS: Readonly<Record<string, boolean | null>> = { true: true, false: false, nil: null };

function tokens(body: string): Token[] {
  const found: Token[] = [];
  for (TOKEN.lastIndex = 0; TOKEN.lastIndex < body.length; ) {
    const from = TOKEN.lastIndex;
    const groups = TOKEN.exec(body)?.groups;
    if (groups === undefined)
      throw templateError(`unexpected ${JSON.stringify(body[from])} in {{${body}}}`);
    const { string, raw, number, field, word, symbol } = groups;
    if (string !== undefined) found.push({ kind: "literal", value: unquote(string) });
    else if (raw !== undefined) found.push({ kind: "literal", value: raw });
    else if (number !== undefined) found.push({ kind: "literal", value: Number(number) });
    else if (field !== undefined)
      found.push({ kind: "field", text: field, attached: /\S/.test(body[from - 1] ?? " ") });
    else if (word !== undefined)
      found.push(
        Object.hasOwn(WORDS, word)
          ? { kind: "literal", value: WORDS[word] ?? null }
          : { kind: "word", text: word },
      );
    else if (symbol === ".") found.push({ kind: "dot" });
    else if (symbol === "$") found.push({ kind: "root" });
    else if (symbol !== undefined) found.push({ kind: "symbol", text: symbol });
  }
  return found;
}

const ESCAPES: Readonly<Record<string, string>> = { n: "\n", t: "\t", r: "\r" };

/** The escapes of Go's strings that anyone uses here; of another one the character itself. */
function unquote(string: string): string {
  return string.slice(1, -1).replace(/\\(.)/gs, (_, char: string) => ESCAPES[char] ?? char);
}
