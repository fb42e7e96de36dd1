import { UsageError } from "../../../errors.ts";
import { defineCommand } from "../../command.ts";
import { formatRows, tableFormat } from "../../format.ts";
import { ellipsis } from "../../human.ts";
import { print } from "../../output.ts";

const HEADINGS = {
  Name: "NAME",
  Description: "DESCRIPTION",
  StarCount: "STARS",
  IsOfficial: "OFFICIAL",
  IsAutomated: "AUTOMATED",
} as const;
const TABLE =
  "table {{.Name}}\t{{.Description}}\t{{.StarCount}}\t{{.IsOfficial}}\t{{.IsAutomated}}";
/** Characters of a description that are shown. */
const WIDTH = 45;

const FLAGS: Readonly<Record<string, boolean>> = { true: true, false: false, 1: true, 0: false };

interface Filter {
  readonly name: "stars" | "is-official" | "is-automated";
  readonly value: number;
}

function parseFilter(text: string): Filter {
  const [name = "", value = ""] = text.split(/=(.*)/s);
  if (name === "stars" && /^\d+$/.test(value)) return { name, value: Number(value) };
  const flag = FLAGS[value];
  if ((name === "is-official" || name === "is-automated") && flag !== undefined)
    return { name, value: Number(flag) };
  throw new UsageError(
    `invalid filter ${JSON.stringify(text)}: it is stars=NUMBER, is-official=true|false or is-automated=true|false`,
  );
}

function parseLimit(text: string): number {
  const limit = Number(text);
  if (!Number.isInteger(limit) || limit < 1 || limit > 100)
    throw new UsageError(`limit ${text} is outside the range of [1, 100]`);
  return limit;
}

/** `mydocker search`. */
export const command = defineCommand({
  options: {
    filter: {
      type: "list",
      short: "f",
      value: "filter",
      description: "Only those: stars=3, is-official=true, is-automated=true",
      parse: parseFilter,
    },
    format: {
      type: "value",
      value: "format",
      description: "json, or a Go template, as a table if it begins with 'table'",
      complete: ["json", "table"],
    },
    limit: {
      type: "value",
      value: "number",
      description: "Show at most so many (default 25)",
      parse: parseLimit,
    },
    "no-trunc": { type: "boolean", description: "Shorten nothing" },
    "tls-verify": {
      type: "boolean",
      default: true,
      description: "Check the registry's certificate, and do not do without one; on by default",
    },
  },
  positionals: { usage: "TERM", min: 1, max: 1 },
  async run({ values, positionals: [term = ""] }) {
    const { searchImages } = await import("../../../images/search.ts");
    const found = await searchImages(term, values.limit ?? 25, values["tls-verify"]);
    const holds = (image: (typeof found)[number]) =>
      (values.filter ?? []).every(({ name, value }) =>
        name === "stars"
          ? image.stars >= value
          : Number(name === "is-official" ? image.official : image.automated) === value,
      );
    const rows = found
      .filter(holds)
      .sort((a, b) => b.stars - a.stars)
      .map((image) => ({
        Name: image.name,
        Description: ((text) => (values["no-trunc"] ? text : ellipsis(text, WIDTH)))(
          image.description.replace(/[\r\n]/g, " "),
        ),
        StarCount: String(image.stars),
        IsOfficial: image.official ? "[OK]" : "",
        IsAutomated: image.automated ? "[OK]" : "",
      }));
    await print(formatRows(tableFormat(values.format, TABLE), rows, HEADINGS));
  },
});
