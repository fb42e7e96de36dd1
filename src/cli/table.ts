/** Tables as Go's text/tabwriter draws Docker's: at least 10 wide, three spaces between columns. */

const LEAST_WIDTH = 10;
const GAP = 3;

/** @param rows cells by line, the heading first; the last of a line is not padded */
export function drawTable(rows: readonly (readonly string[])[]): string {
  const widths: number[] = [];
  for (const row of rows) {
    for (let column = 0; column < row.length - 1; column++) {
      const width = widthOf(row[column] as string) + GAP;
      widths[column] = Math.max(widths[column] ?? LEAST_WIDTH, width);
    }
  }
  let table = "";
  for (const row of rows) {
    const last = row.length - 1;
    for (let column = 0; column < last; column++)
      table += pad(row[column] as string, widths[column]);
    table += `${row[last] ?? ""}\n`;
  }
  return table;
}

const pad = (cell: string, width = 0): string => cell + " ".repeat(width - widthOf(cell));

const SURROGATES = /[\ud800-\udfff]/;
/** In characters. */
const widthOf = (cell: string): number => (SURROGATES.test(cell) ? [...cell].length : cell.length);
