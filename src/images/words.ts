/** The words of a Dockerfile instruction: quotes, backslashes and variables, as Docker's shell lexer reads them. */
import { MydockerError } from "../errors.ts";

/** A variable's name, or one special character (Docker: `$*`, `$0`, … are kept as they are). */
const NAME = /^[A-Za-z_][A-Za-z0-9_]*/;

/** Splits at blanks outside quotes; quotes and backslashes stay for {@link expand}. */
export function splitWords(text: string): string[] {
  const words: string[] = [];
  let word = "";
  let quote = "";
  for (let i = 0; i < text.length; i++) {
    const char = text[i] as string;
    if (quote === "" && /\s/.test(char)) {
      if (word !== "") words.push(word);
      word = "";
      continue;
    }
    word += char;
    if (char === "\\" && quote !== "'" && i + 1 < text.length) word += text[++i];
    else if (quote === "" && (char === "'" || char === '"')) quote = char;
    else if (char === quote) quote = "";
  }
  if (word !== "") words.push(word);
  return words;
}

/**
 * Removes quotes and puts variables in: `$NAME`, `${NAME}`, `${NAME:-default}`, `${NAME:+other}`.
 * @throws {MydockerError} for an open quote or brace
 */
export function expand(word: string, variables: ReadonlyMap<string, string>): string {
  let text = "";
  for (let i = 0; i < word.length; ) {
    const char = word[i] as string;
    if (char === "'") {
      const end = word.indexOf("'", i + 1);
      if (end === -1) throw unterminated(word);
      text += word.slice(i + 1, end);
      i = end + 1;
    } else if (char === '"') {
      const quoted = doubleQuoted(word, i + 1, variables);
      text += quoted.text;
      i = quoted.next;
    } else if (char === "\\") {
      text += word[i + 1] ?? "";
      i += 2;
    } else if (char === "$") {
      const variable = takeVariable(word, i, variables);
      text += variable.text;
      i = variable.next;
    } else {
      text += char;
      i += 1;
    }
  }
  return text;
}

interface Taken {
  readonly text: string;
  readonly next: number;
}

function doubleQuoted(word: string, start: number, variables: ReadonlyMap<string, string>): Taken {
  let text = "";
  for (let i = start; i < word.length; ) {
    const char = word[i] as string;
    if (char === '"') return { text, next: i + 1 };
    if (char === "\\" && '"$\\'.includes(word[i + 1] ?? " ")) {
      text += word[i + 1];
      i += 2;
    } else if (char === "$") {
      const variable = takeVariable(word, i, variables);
      text += variable.text;
      i = variable.next;
    } else {
      text += char;
      i += 1;
    }
  }
  throw unterminated(word);
}

function takeVariable(word: string, at: number, variables: ReadonlyMap<string, string>): Taken {
  const rest = word.slice(at + 1);
  if (!rest.startsWith("{")) {
    const name = NAME.exec(rest)?.[0];
    return name === undefined
      ? { text: "$", next: at + 1 }
      : { text: variables.get(name) ?? "", next: at + 1 + name.length };
  }
  const match = /^\{([A-Za-z_][A-Za-z0-9_]*)(?:(:?[-+])([^}]*))?\}/.exec(rest);
  if (match === null)
    throw new MydockerError(
      `failed to process ${JSON.stringify(word)}: unsupported modifier or missing "}"`,
    );
  const [whole, name = "", operator, other = ""] = match;
  const value = variables.get(name);
  const there = operator?.startsWith(":") === true ? (value ?? "") !== "" : value !== undefined;
  let text = value ?? "";
  if (operator?.endsWith("-") === true && !there) text = expand(other, variables);
  if (operator?.endsWith("+") === true) text = there ? expand(other, variables) : "";
  return { text, next: at + 1 + whole.length };
}

function unterminated(word: string): MydockerError {
  return new MydockerError(
    `failed to process ${JSON.stringify(word)}: unexpected end of statement while looking for matching quote`,
  );
}
