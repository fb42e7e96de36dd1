import { defineCommand, requireRoot } from "../../command.ts";
import { formatRows, tableFormat } from "../../format.ts";
import { print } from "../../output.ts";
import { reportError } from "../../report.ts";
import {
  booleanFilter,
  checkFilters,
  hasLabels,
  parseFilter,
  valuesOf,
} from "../../values/filter.ts";
import { VOLUME_FORMAT, VOLUME_HEADINGS, volumeRow } from "../../volume_rows.ts";

/** `mydocker volume ls`. */
export const command = defineCommand({
  options: {
    filter: {
      type: "list",
      short: "f",
      value: "filter",
      description: "Show only those: name=, label=, dangling=true, driver=",
      parse: parseFilter,
    },
    format: {
      type: "value",
      value: "format",
      description: "json, or a Go template, as a table if it begins with 'table'",
      complete: ["json", "table"],
    },
    quiet: { type: "boolean", short: "q", description: "Show only the names" },
  },
  positionals: { usage: "", min: 0, max: 0 },
  rules: { later: { cluster: "" } },
  async run({ values }) {
    checkFilters(values.filter, ["dangling", "driver", "label", "name"]);
    const isDangling = booleanFilter(values.filter, "dangling");
    requireRoot("mydocker volume ls");
    const { listVolumes } = await import("../../../engine/volume_commands.ts");
    const { statePaths } = await import("../../../paths.ts");
    const { volumes, problems } = listVolumes(statePaths());
    const names = valuesOf(values.filter, "name");
    const drivers = valuesOf(values.filter, "driver");
    const labels = valuesOf(values.filter, "label");
    const rows = volumes
      .filter(({ users }) => isDangling === undefined || (users.length === 0) === isDangling)
      .filter(
        ({ volume }) => names.length === 0 || names.some((part) => volume.name.includes(part)),
      )
      .filter(() => drivers.length === 0 || drivers.includes("local"))
      .filter(({ volume }) => hasLabels(volume.labels, labels))
      .map(({ volume, mountpoint }) => volumeRow(volume, mountpoint));
    const format = values.quiet ? "{{.Name}}" : tableFormat(values.format, VOLUME_FORMAT);
    await print(formatRows(format, rows, VOLUME_HEADINGS));
    for (const problem of problems) reportError(problem);
    return problems.length === 0 ? 0 : 1;
  },
});
