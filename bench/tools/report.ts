/** Results as Markdown, which is what the terminal and the documentation get. */

/** What one benchmark has to say. */
export interface Section {
  /** The marker in docs/performance.md. */
  readonly id: string;
  readonly title: string;
  /** What was measured, and how. */
  readonly note: string;
  readonly table: Table;
  /** What could not be measured, and why. */
  readonly skipped?: readonly string[];
}

export interface Table {
  readonly head: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

/** A figure beside the most that it may be. */
export function verdict(value: number, most: number): string {
  return `≤ ${most.toFixed(1)} ${value <= most ? "PASS" : "over"}`;
}

/** Milliseconds. */
export const ms = (value: number): string => `${value.toFixed(value < 10 ? 2 : 1)} ms`;

/** A ratio. */
export const times = (value: number): string => `${value.toFixed(2)}×`;

/** A table, columns of numbers to the right. */
export function markdownTable({ head, rows }: Table): string {
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  const rule = head.map((_, column) => (column === 0 ? "---" : "---:"));
  return [line(head), line(rule), ...rows.map(line)].join("\n");
}

/** The section without its heading. */
export function markdownBody({ note, table, skipped = [] }: Section): string {
  const parts = [note, markdownTable(table), ...skipped.map((why) => `Skipped: ${why}.`)];
  return parts.join("\n\n");
}
