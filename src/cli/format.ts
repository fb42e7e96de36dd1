/** `--format`: `json`, `table TEMPLATE`, or a Go template. */
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
  const nodes = parseTemplate(tabsAndNewlines(format.slice(asTable?.[0].length ?? 0)));
  const lines = rows.map((row) => render(nodes, readable(row)));
  if (asTable === null) return lines.map((line) => `${line}\n`).join("");
  const heading = render(nodes, headings, HEADING_FUNCTIONS);
  return drawTable([heading, ...lines].map((line) => line.split("\t")));
}

/** One object. */
export function formatObject(format: string, object: object): string {
  return format === "json"
    ? `${toJson(object)}\n`
    : `${render(parseTemplate(tabsAndNewlines(format)), object)}\n`;
}

/** A name may hold line feeds and bytes that drive a terminal: what is one line stays one. */
const readable = (row: object): object =>
  Object.fromEntries(
    Object.entries(row).map(([field, value]) => [
      field,
      typeof value === "string" ? printable(value) : value,
    ]),
  );

/** In a shell's single quotes `\t` arrives as two characters. */
const tabsAndNewlines = (format: string): string =>
  format.replaceAll("\\t", "\t").replaceAll("\\n", "\n");
