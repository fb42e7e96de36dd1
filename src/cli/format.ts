/** `--format`: `json`, `table TEMPLATE`, or a Go template. */
import { MydockerError } from "../errors.ts";
import { printable } from "../log.ts";
import { drawTable } from "./table.ts";
import { HEADING_FUNCTIONS, toJson } from "./template/functions.ts";
import { parseTemplate } from "./template/parser.ts";
import { render } from "./template/render.ts";

/** What a listing is drawn as: `table` alone is the usual table. */
export function tableFormat(format: string | undefined, usual: string): string {
  return format === undefined || format.trim() === "table" ? usual : format;
}

/**
 * One line for each row.
 * @param headings what a table calls each field
 */
export function formatRows(format: string, rows: readonly object[], headings: object): string {
  if (format === "json") return rows.map((row) => `${toJson(row)}\n`).join("");
  const asTable = /^table\b\s*/.exec(format);
  const template = tabsAndNewlines(format.slice(asTable?.[0].length ?? 0));
  const nodes = parseTemplate(template);
  const lines =
    fillSimple(template, rows, headings) ?? rows.map((row) => render(nodes, readable(row)));
  if (asTable === null) return lines.map((line) => `${line}\n`).join("");
  const heading = render(nodes, headings, HEADING_FUNCTIONS);
  return drawTable([heading, ...lines].map((line) => line.split("\t")));
}

/**
 * A template of nothing but fields, as nearly all are, without the machinery: there may be a
 * thousand rows.
 * @returns undefined when it is none, or has a field that some row has no text for
 */
function fillSimple(
  template: string,
  rows: readonly object[],
  headings: object,
): string[] | undefined {
  const parts = template.split(/\{\{ *\.(\w+) *\}\}/);
  const isField = (index: number) => index % 2 === 1;
  const isSimple = parts.every((part, index) =>
    isField(index) ? Object.hasOwn(headings, part) : !/\{\{|\}\}/.test(part),
  );
  if (!isSimple) return undefined;
  const lines: string[] = [];
  for (const row of rows) {
    const values: string[] = [];
    for (let index = 0; index < parts.length; index++) {
      const part = parts[index] as string;
      const value: unknown = isField(index) ? Reflect.get(row, part) : part;
      if (typeof value !== "string") return undefined;
      values.push(value);
    }
    const line = values.join("");
    // As nearly always there is nothing to be escaped in any of them.
    const isPlain = /^[\x20-\x7e\t]*$/.test(line);
    lines.push(
      isPlain
        ? line
        : values.map((value, index) => (isField(index) ? printable(value) : value)).join(""),
    );
  }
  return lines;
}

/** One object. */
export function formatObject(format: string, object: object): string {
  if (format === "json") return `${toJson(object)}\n`;
  const nodes = parseTemplate(tabsAndNewlines(format));
  return `${render(nodes, object)}\n`;
}

/** Docker's exit code of what is no template, of commands that show one thing. */
const NO_TEMPLATE = 64;

/** Looks at a format before what it is to show is looked for. @throws {MydockerError} for what is no template */
export function checkFormat(format: string | undefined): void {
  if (format === undefined || format === "json") return;
  try {
    parseTemplate(tabsAndNewlines(format));
  } catch (cause) {
    if (!(cause instanceof MydockerError)) throw cause;
    throw new MydockerError(cause.message, { exitCode: NO_TEMPLATE, cause });
  }
}

/** Looks whether rows have the fields of a format, where there is none that would be shown. @throws {MydockerError} */
export function checkFields(format: string, headings: object): void {
  if (format === "json") return;
  const template = format.replace(/^table\b\s*/, "");
  render(parseTemplate(tabsAndNewlines(template)), headings, HEADING_FUNCTIONS);
}

/** A name may hold line feeds and bytes that drive a terminal: what is one line stays one. */
function readable(row: object): object {
  const copy: Record<string, unknown> = {};
  for (const [field, value] of Object.entries(row))
    copy[field] = typeof value === "string" ? printable(value) : value;
  return copy;
}

/** In a shell's single quotes `\t` arrives as two characters. */
const tabsAndNewlines = (format: string): string =>
  format.replaceAll("\\t", "\t").replaceAll("\\n", "\n");
