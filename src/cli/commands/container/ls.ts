import { defineCommand, requireRoot } from "../../command.ts";
import {
  CONTAINER_FORMAT,
  CONTAINER_HEADINGS,
  CONTAINER_SIZE_FORMAT,
  containerRow,
} from "../../container_rows.ts";
import { checkFields, formatRows, tableFormat } from "../../format.ts";
import { print } from "../../output.ts";
import { parseFilter } from "../../values/filter.ts";
import { parseInteger } from "../../values/number.ts";

/** `mydocker ps`. */
export const command = defineCommand({
  options: {
    all: { type: "boolean", short: "a", description: "Show all, not only those that run" },
    filter: {
      type: "list",
      short: "f",
      value: "filter",
      description: "Only those with such as 'status=exited', 'name=web', 'label=KEY[=VALUE]'",
      parse: parseFilter,
    },
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
    size: { type: "boolean", short: "s", description: "Show what each has written" },
  },
  positionals: { usage: "", min: 0, max: 0 },
  async run({ values }) {
    requireRoot("mydocker ps");
    const { listContainers } = await import("../../../engine/list.ts");
    const { chooseContainers, onlyUp } = await import("../../../engine/list_filters.ts");
    const { statePaths } = await import("../../../paths.ts");
    const paths = statePaths();
    const { format, filter: filters, last = -1 } = values;
    const choice = {
      all: values.all,
      last: last === -1 && values.latest ? 1 : last,
      filters,
    };
    const all = listContainers(paths, onlyUp(choice) ? "up" : "kept");
    const problems = all.flatMap((each) => each.problems);
    if (problems.length > 0) {
      const { log } = await import("../../../log.ts");
      for (const problem of problems) log.warn(problem);
    }
    const shown = chooseContainers(paths, all, choice);
    const isUsual = tableFormat(format, "") === "";
    const withSize = values.size || /\.Size\b/.test(format ?? "");
    const sizeOf = withSize
      ? (await import("../../../engine/container_size.ts")).sizesOf(paths)
      : undefined;
    const options = { now: Date.now(), whole: values["no-trunc"] };
    const rows = shown.map((each) =>
      containerRow(
        each,
        sizeOf === undefined ? options : { ...options, size: sizeOf(each.record) },
      ),
    );
    const usual = values.size ? CONTAINER_SIZE_FORMAT : CONTAINER_FORMAT;
    const chosen = values.quiet && isUsual ? "{{.ID}}" : tableFormat(format, usual);
    if (rows.length === 0) checkFields(chosen, CONTAINER_HEADINGS);
    await print(formatRows(chosen, rows, CONTAINER_HEADINGS));
  },
});
