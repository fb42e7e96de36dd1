/** Tables as Go's text/tabwriter draws Docker's: at least 10 wide, three spaces between columns. */

const LEAST_WIDTH = 10;
const GAP = 3;

/** @param rows cells by line, the heading first; the last of a line is not padded */
export function drawTable(rows: readonly (readonly string[])[]): string {
  const widths: number[] = [];
  for (const row of rows) {
    row.slice(0, -1).forEach((cell, column) => {
      widths[column] = Math.max(widths[column] ?? LEAST_WIDTH, widthOf(cell) + GAP);
    });
  }
  return rows
    .map((row) =>
      row.map((cell, column) => (column === row.length - 1 ? cell : pad(cell, widths[column]))),
    )
    .map((cells) => `${cells.join("")}\n`)
    .join("");
}

const pad = (cell: string, width = 0): string => cell + " ".repeat(width - widthOf(cell));

const SURROGATES = /[\ud800-\udfff]/;
/** In characters. */
const widthOf = (cell: string): number => (SURROGATES.test(cell) ? [...cell].length : cell.length);
