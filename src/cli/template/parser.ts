/** Makes a tree of a Go template's pieces. */
import { FUNCTIONS } from "./functions.ts";
import { cut, type Token, templateError } from "./lexer.ts";

/** A part of a template. */
export type Node =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "value"; readonly pipe: Pipe }
  | {
      readonly kind: "if" | "range" | "with";
      readonly pipe: Pipe;
      readonly body: readonly Node[];
      readonly otherwise: readonly Node[];
    };

/** `a b | c d`: commands, each of which gets the result of the one before as its last argument. */
export type Pipe = readonly (readonly Operand[])[];

/** A value in a command: where it comes from, and which field of that it is. */
export interface Operand {
  readonly base:
    | { readonly kind: "dot" }
    | { readonly kind: "root" }
    | { readonly kind: "literal"; readonly value: string | number | boolean | null }
    | { readonly kind: "function"; readonly name: string }
    | { readonly kind: "pipe"; readonly pipe: Pipe };
  readonly fields: readonly string[];
}

/** @throws {MydockerError} */
export function parseTemplate(template: string): readonly Node[] {
  return new Parser(cut(template)).nodes(false).list;
}

const BLOCKS = ["if", "range", "with"] as const;

class Parser {
  #at = 0;

  constructor(readonly pieces: ReturnType<typeof cut>) {}

  /** Up to the `end` or `else` of the block, or to the template's end. */
  nodes(inBlock: boolean): { list: Node[]; otherwise: Node[] } {
    const list: Node[] = [];
    while (this.#at < this.pieces.length) {
      const piece = this.pieces[this.#at++] as (typeof this.pieces)[number];
      if (piece.kind === "text") {
        list.push(piece);
        continue;
      }
      const [first, ...rest] = piece.tokens;
      const word = first?.kind === "word" ? first.text : undefined;
      if (word === "end" || word === "else") {
        if (!inBlock) throw templateError(`unexpected {{${word}}}`);
        return { list, otherwise: word === "end" ? [] : this.#otherwise(rest) };
      }
      const block = BLOCKS.find((name) => name === word);
      list.push(
        block === undefined
          ? { kind: "value", pipe: pipeOf(piece.tokens) }
          : this.#block(block, rest),
      );
    }
    if (inBlock) throw templateError("unexpected EOF");
    return { list, otherwise: [] };
  }

  #block(kind: (typeof BLOCKS)[number], tokens: readonly Token[]): Node {
    const pipe = pipeOf(tokens);
    const { list, otherwise } = this.nodes(true);
    return { kind, pipe, body: list, otherwise };
  }

  /** `{{else}}`, or `{{else if …}}`, which shares its `end` with the first one. */
  #otherwise(tokens: readonly Token[]): Node[] {
    const [first, ...rest] = tokens;
    if (first === undefined) return this.nodes(true).list;
    const block = BLOCKS.find((name) => first.kind === "word" && name === first.text);
    if (block === undefined) throw templateError("unexpected words after {{else");
    return [this.#block(block, rest)];
  }
}

function pipeOf(tokens: readonly Token[]): Pipe {
  const reader = { tokens, at: 0 };
  const pipe = readPipe(reader);
  if (reader.at < tokens.length) throw templateError("unexpected )");
  return pipe;
}

interface Reader {
  readonly tokens: readonly Token[];
  at: number;
}

function readPipe(reader: Reader): Pipe {
  const commands: Operand[][] = [[]];
  for (; reader.at < reader.tokens.length; ) {
    const token = reader.tokens[reader.at] as Token;
    if (token.kind === "symbol" && token.text === ")") break;
    reader.at += 1;
    if (token.kind === "symbol" && token.text === "|") commands.push([]);
    else commands.at(-1)?.push(readOperand(token, reader));
  }
  if (commands.some((command) => command.length === 0))
    throw templateError("missing value for command");
  return commands;
}

function readOperand(token: Token, reader: Reader): Operand {
  switch (token.kind) {
    case "literal":
      return { base: token, fields: [] };
    case "word":
      if (!Object.hasOwn(FUNCTIONS, token.text))
        throw templateError(`function ${JSON.stringify(token.text)} not defined`);
      return { base: { kind: "function", name: token.text }, fields: [] };
    case "field":
      return { base: { kind: "dot" }, fields: [token.text, ...readFields(reader)] };
    case "dot":
      return { base: token, fields: [] };
    case "root":
      return { base: token, fields: readFields(reader) };
    case "symbol": {
      const pipe = readPipe(reader);
      if (reader.at >= reader.tokens.length) throw templateError("unclosed left paren");
      reader.at += 1;
      return { base: { kind: "pipe", pipe }, fields: readFields(reader) };
    }
  }
}

/** `.B.C` right behind `.A`, `$` or `)`. */
function readFields(reader: Reader): string[] {
  const fields: string[] = [];
  for (;;) {
    const token = reader.tokens[reader.at];
    if (token?.kind !== "field" || !token.attached) return fields;
    fields.push(token.text);
    reader.at += 1;
  }
}
