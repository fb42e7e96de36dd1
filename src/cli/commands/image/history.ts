import { defineCommand, requireRoot } from "../../command.ts";
import { formatRows, tableFormat } from "../../format.ts";
import { ellipsis, humanAge, humanSize } from "../../human.ts";
import { print } from "../../output.ts";

const HEADINGS = {
  ID: "IMAGE",
  CreatedSince: "CREATED",
  CreatedAt: "CREATED AT",
  CreatedBy: "CREATED BY",
  Size: "SIZE",
  Comment: "COMMENT",
} as const;
const TABLE = "table {{.ID}}\t{{.CreatedSince}}\t{{.CreatedBy}}\t{{.Size}}\t{{.Comment}}";
const PLAIN_TABLE = "table {{.ID}}\t{{.CreatedAt}}\t{{.CreatedBy}}\t{{.Size}}\t{{.Comment}}";
/** Characters of a command that are shown. */
const COMMAND_WIDTH = 45;

/** `mydocker history`. */
export const command = defineCommand({
  options: {
    format: {
      type: "value",
      value: "format",
      description: "json, or a Go template, as a table if it begins with 'table'",
      complete: ["json", "table"],
    },
    human: {
      type: "boolean",
      short: "H",
      default: true,
      description: "Sizes with units, and times as ages",
    },
    "no-trunc": { type: "boolean", description: "Shorten nothing" },
    quiet: { type: "boolean", short: "q", description: "Show only the ids" },
  },
  positionals: { usage: "IMAGE", min: 1, max: 1, complete: "image" },
  rules: { later: { platform: "" } },
  async run({ values, positionals: [name = ""] }) {
    requireRoot("mydocker history");
    const { findImage } = await import("../../found_image.ts");
    const { imageHistory } = await import("../../../images/history.ts");
    const { store, image } = await findImage(name);
    const [now, whole] = [Date.now(), values["no-trunc"]];
    const rows = imageHistory(store, image).map((step) => ({
      ID:
        step.id === undefined
          ? "<missing>"
          : whole
            ? step.id
            : step.id.replace("sha256:", "").slice(0, 12),
      CreatedSince: step.created === "" ? "N/A" : `${humanAge(step.created, now)} ago`,
      CreatedAt: listedTime(step.created),
      CreatedBy: ((text) => (whole ? text : ellipsis(text, COMMAND_WIDTH)))(
        step.createdBy.replaceAll("\t", " "),
      ),
      Size: values.human ? humanSize(step.size) : String(step.size),
      Comment: step.comment,
    }));
    const usual = values.human ? TABLE : PLAIN_TABLE;
    const format = values.quiet ? "{{.ID}}" : tableFormat(values.format, usual);
    await print(formatRows(format, rows, HEADINGS));
  },
});

/** RFC 3339 without fractions; "" when it is not on record. */
const listedTime = (time: string): string =>
  Number.isNaN(Date.parse(time)) ? "" : `${new Date(time).toISOString().slice(0, 19)}Z`;
