import { defineCommand, requireRoot } from "../../command.ts";
import { formatRows, tableFormat } from "../../format.ts";
import { IMAGE_FORMAT, IMAGE_HEADINGS, imageRows } from "../../image_rows.ts";
import { print } from "../../output.ts";
import { reportError } from "../../report.ts";

/** `mydocker images`. */
export const command = defineCommand({
  options: {
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
  rules: { later: { all: "a", digests: "", filter: "f", tree: "" } },
  async run({ values, positionals: [wanted] }) {
    requireRoot("mydocker images");
    const { listImages } = await import("../../../images/listing.ts");
    const { openImageStore } = await import("../../../images/store.ts");
    const { statePaths } = await import("../../../paths.ts");
    const { recover } = await import("../../../engine/recovery.ts");
    recover(statePaths());
    const { images, problems } = listImages(openImageStore(statePaths().root));
    const rows = images
      .flatMap((image) => imageRows(image, Date.now(), values["no-trunc"]))
      .filter(
        ({ Repository, Tag }) =>
          wanted === undefined || wanted === Repository || wanted === `${Repository}:${Tag}`,
      );
    const ids = [...new Map(rows.map((row) => [row.ID, row])).values()];
    const format = values.quiet ? "{{.ID}}" : tableFormat(values.format, IMAGE_FORMAT);
    await print(formatRows(format, values.quiet ? ids : rows, IMAGE_HEADINGS));
    for (const problem of problems) reportError(problem);
    return problems.length === 0 ? 0 : 1;
  },
});
