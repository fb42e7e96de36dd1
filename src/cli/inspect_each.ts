/** What every `inspect` has in common: its option, and how it goes on and prints. */
import { forEachArgument } from "./each.ts";
import { checkFormat, formatObject } from "./format.ts";
import { print } from "./output.ts";
import { reportError } from "./report.ts";

/** `-f`, `--format`. */
export const FORMAT_OPTION = {
  type: "value",
  short: "f",
  value: "format",
  description: "json, or a Go template",
  complete: ["json"],
} as const;

/**
 * Prints what is known of each of the names, and says of which nothing is.
 * @param format of Docker's; absent: an array of JSON
 * @returns the exit code
 */
export async function inspectEach(
  names: readonly string[],
  format: string | undefined,
  inspect: (name: string) => object | Promise<object>,
): Promise<number> {
  checkFormat(format);
  const found: object[] = [];
  const exitCode = await forEachArgument(
    names,
    async (name) => {
      found.push(await inspect(name));
    },
    reportError,
  );
  if (format === undefined) await print(`${JSON.stringify(found, null, 4)}\n`);
  else await print(found.map((each) => formatObject(format, each)).join(""));
  return exitCode;
}
