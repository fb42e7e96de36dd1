import { defineCommand, requireRoot } from "../../command.ts";
import { formatRows, tableFormat } from "../../format.ts";
import { IMAGE_DIGEST_FORMAT, IMAGE_FORMAT, IMAGE_HEADINGS, imageRows } from "../../image_rows.ts";
import { print } from "../../output.ts";
import { reportError } from "../../report.ts";
import { type Filter, parseFilter } from "../../values/filter.ts";
import { parseTimestamp } from "../../values/timestamp.ts";

/** `mydocker images`. */
export const command = defineCommand({
  options: {
    all: { type: "boolean", short: "a", description: "As without: no image is hidden" },
    digests: { type: "boolean", description: "Show the digests of names, too" },
    filter: {
      type: "list",
      short: "f",
      value: "filter",
      description:
        "Only those with dangling=BOOL, label=KEY[=VALUE], reference=PATTERN, before=IMAGE, since=IMAGE or until=TIME",
      parse: parseFilter,
    },
    format: {
      type: "value",
      value: "format",
      description: "json, or a Go template, as a table if it begins with 'table'",
      complete: ["json", "table"],
    },
    "no-trunc": { type: "boolean", description: "Shorten nothing" },
    quiet: { type: "boolean", short: "q", description: "Show only the ids" },
  },
  positionals: { usage: "[REPOSITORY[:TAG]]", min: 0, max: 1, complete: "image" },
  rules: { later: { tree: "" } },
  async run({ values, positionals: [wanted] }) {
    requireRoot("mydocker images");
    const { listImages } = await import("../../../images/listing.ts");
    const { openImageStore } = await import("../../../images/store.ts");
    const { statePaths } = await import("../../../paths.ts");
    const { recover } = await import("../../../engine/recovery.ts");
    recover(statePaths());
    const filters = values.filter.map(withTime);
    if (wanted !== undefined) filters.push({ name: "reference", value: wanted });
    const { images, problems } = listImages(openImageStore(statePaths().root), filters);
    const usual = values.digests ? IMAGE_DIGEST_FORMAT : IMAGE_FORMAT;
    const format = values.quiet ? "{{.ID}}" : tableFormat(values.format, usual);
    const options = {
      now: Date.now(),
      whole: values["no-trunc"],
      digests: values.digests || format.includes("{{.Digest}}"),
    };
    const rows = images.flatMap((image) => imageRows(image, options));
    await print(formatRows(format, rows, IMAGE_HEADINGS));
    for (const problem of problems) reportError(problem);
    return problems.length === 0 ? 0 : 1;
  },
});

/** A time becomes seconds since 1970, which is what the store understands. */
function withTime({ name, value }: Filter): Filter {
  return name === "until" ? { name, value: String(parseTimestamp(value) / 1000) } : { name, value };
}
