import { defineCommand, requireRoot } from "../../command.ts";
import { CONTAINER_FORMAT, CONTAINER_HEADINGS, containerRow } from "../../container_rows.ts";
import { formatRows, tableFormat } from "../../format.ts";
import { print } from "../../output.ts";
import { parseInteger } from "../../values/number.ts";

/** `mydocker ps`. */
export const command = defineCommand({
  options: {
    all: { type: "boolean", short: "a", description: "Show all, not only those that run" },
    format: {
      type: "value",
      value: "format",
      description: "json, or a Go template, as a table if it begins with 'table'",
      complete: ["json", "table"],
    },
    last: {
      type: "value",
      short: "n",
      value: "number",
      description: "Show so many of the newest, whether they run or not",
      parse: parseInteger,
    },
    latest: { type: "boolean", short: "l", description: "Show the newest" },
    "no-trunc": { type: "boolean", description: "Shorten nothing" },
    quiet: { type: "boolean", short: "q", description: "Show only the ids" },
  },
  positionals: { usage: "", min: 0, max: 0 },
  rules: { later: { filter: "f", size: "s" } },
  async run({ values }) {
    requireRoot("mydocker ps");
    const { isUp, listContainers } = await import("../../../engine/list.ts");
    const { statePaths } = await import("../../../paths.ts");
    const all = listContainers(statePaths());
    const problems = all.flatMap((each) => each.problems);
    if (problems.length > 0) {
      const { log } = await import("../../../log.ts");
      for (const problem of problems) log.warn(problem);
    }
    const newest = values.latest ? 1 : (values.last ?? -1);
    const shown =
      newest > 0 ? all.slice(0, newest) : all.filter(({ state }) => values.all || isUp(state));
    const rows = shown.map((each) => containerRow(each, Date.now(), values["no-trunc"]));
    const format = values.quiet ? "{{.ID}}" : tableFormat(values.format, CONTAINER_FORMAT);
    await print(formatRows(format, rows, CONTAINER_HEADINGS));
  },
});
