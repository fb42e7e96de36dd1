/** Finds where a text stops being JSON: JSON.parse itself does not say. */

const TOKEN =
  /[ \t\n\r]*(?:("(?:[ !#-[\]-\uffff]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*")|(-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null)|([{}[\],:]))/y;

type Expected = "value" | "value or ]" | "name" | "name or }" | ":" | "more" | "end";

const EXPECTATIONS: Readonly<Record<Expected, string>> = {
  value: "a value",
  "value or ]": "a value or ]",
  name: "a name in double quotes",
  "name or }": "a name in double quotes or }",
  ":": ":",
  more: ", or the end of the array or object",
  end: "the end of the text",
};

/** `line 3, column 7: "}", expected a value`, or undefined when nothing is wrong. */
export function findSyntaxError(text: string): string | undefined {
  const open: ("{" | "[")[] = [];
  let expected: Expected = "value";
  for (let at = 0; ; ) {
    TOKEN.lastIndex = at;
    const [token = "", string, scalar, mark] = TOKEN.exec(text) ?? [];
    if (token === "" && expected === "end" && text.slice(at).trim() === "") return undefined;
    const next: Expected | undefined =
      token === "" ? undefined : step(expected, open, { string, scalar, mark });
    if (next === undefined) return report(text, at, expected);
    expected = next;
    at += token.length;
  }
}

interface Token {
  readonly string: string | undefined;
  readonly scalar: string | undefined;
  readonly mark: string | undefined;
}

/** What is expected after a token; undefined when it is out of place. Keeps `open` up to date. */
function step(expected: Expected, open: ("{" | "[")[], token: Token): Expected | undefined {
  const { string, scalar, mark } = token;
  const takesName = expected === "name" || expected === "name or }";
  if (takesName && string !== undefined) return ":";
  if (expected === ":" && mark === ":") return "value";
  if (expected === "value" || expected === "value or ]") {
    if (string !== undefined || scalar !== undefined) return open.length === 0 ? "end" : "more";
    if (mark === "{" || mark === "[") {
      open.push(mark);
      return mark === "{" ? "name or }" : "value or ]";
    }
  }
  if (expected === "more" && mark === ",") return open.at(-1) === "{" ? "name" : "value";
  const closes =
    (mark === "}" && open.at(-1) === "{" && (expected === "more" || expected === "name or }")) ||
    (mark === "]" && open.at(-1) === "[" && (expected === "more" || expected === "value or ]"));
  if (!closes) return undefined;
  open.pop();
  return open.length === 0 ? "end" : "more";
}

function report(text: string, from: number, expected: Expected): string {
  const blanks = /[ \t\n\r]*/y;
  blanks.lastIndex = from;
  const at = from + (blanks.exec(text)?.[0].length ?? 0);
  const before = text.slice(0, at);
  const line = before.split("\n").length;
  const column = at - before.lastIndexOf("\n");
  const found = at >= text.length ? "the end of the text" : wordAt(text, at);
  return `line ${line}, column ${column}: ${found}, expected ${EXPECTATIONS[expected]}`;
}

function wordAt(text: string, at: number): string {
  const [word = text[at] ?? ""] = /^[\w.+-]+/.exec(text.slice(at, at + 20)) ?? [];
  if (word !== '"') return JSON.stringify(word);
  TOKEN.lastIndex = at;
  const [string] = TOKEN.exec(text) ?? [];
  return string === undefined
    ? "a string that has no end, a control character or an unknown escape"
    : "a string";
}
