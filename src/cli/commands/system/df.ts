import { defineCommand, requireRoot } from "../../command.ts";
import { formatObject, formatRows, tableFormat } from "../../format.ts";
import { print } from "../../output.ts";
import { reportError } from "../../report.ts";

/** `mydocker system df`. */
export const command = defineCommand({
  options: {
    format: {
      type: "value",
      value: "format",
      description: "json, or a Go template, as a table if it begins with 'table'",
      complete: ["json", "table"],
    },
    verbose: { type: "boolean", short: "v", description: "Show everything one by one" },
  },
  positionals: { usage: "", min: 0, max: 0 },
  async run({ values: { format, verbose } }) {
    requireRoot("mydocker system df");
    const { diskUsage } = await import("../../../engine/disk_usage.ts");
    const { statePaths } = await import("../../../paths.ts");
    const { USAGE_FORMAT, USAGE_HEADINGS, usageDetails, usageRows, usageTables } = await import(
      "../../usage_rows.ts"
    );
    const usage = diskUsage(statePaths());
    const isUsual = tableFormat(format, "") === "";
    if (!verbose) {
      const wanted = tableFormat(format, USAGE_FORMAT);
      await print(formatRows(wanted, usageRows(usage), USAGE_HEADINGS));
    } else if (isUsual) await print(usageTables(usage));
    else await print(formatObject(format ?? "json", usageDetails(usage, true)));
    for (const problem of usage.problems) reportError(problem);
    return usage.problems.length === 0 ? 0 : 1;
  },
});
