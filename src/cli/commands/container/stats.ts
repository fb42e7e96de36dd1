import { defineCommand, requireRoot } from "../../command.ts";
import { formatRows, tableFormat } from "../../format.ts";
import { print } from "../../output.ts";
import { STATS_FORMAT, STATS_HEADINGS, statsRow } from "../../stats_rows.ts";

/** Between two looks, in milliseconds. */
const INTERVAL = 1000;
/** Between the first two, which the first figures are made of. */
const FIRST_INTERVAL = 500;
/** ECMA-48: clears the screen, or goes to its beginning; clears the rest of a line, or of the screen. */
const CLEAR = "\u001b[2J\u001b[H";
const HOME = "\u001b[H";
const CLEAR_LINE = "\u001b[K";
const CLEAR_BELOW = "\u001b[J";

/** `mydocker stats`. */
export const command = defineCommand({
  options: {
    all: { type: "boolean", short: "a", description: "Also those that do not run" },
    format: {
      type: "value",
      value: "format",
      description: "json, or a Go template, as a table if it begins with 'table'",
      complete: ["json", "table"],
    },
    "no-stream": { type: "boolean", description: "Show it once" },
    "no-trunc": { type: "boolean", description: "Shorten nothing" },
  },
  positionals: {
    usage: "[CONTAINER...]",
    min: 0,
    max: Number.POSITIVE_INFINITY,
    complete: "container",
  },
  async run({ values, positionals: names }) {
    requireRoot("mydocker stats");
    const { UsageWatch } = await import("../../../engine/stats.ts");
    const { poll } = await import("../../../linux/fd.ts");
    const { isTerminal } = await import("../../../linux/tty.ts");
    const { statePaths } = await import("../../../paths.ts");
    const watch = new UsageWatch(statePaths(), { names, all: values.all });
    const format = tableFormat(values.format, STATS_FORMAT);
    const onScreen = isTerminal(1) && !values["no-stream"];
    watch.look();
    if (onScreen) await print(CLEAR);
    // What polls nothing hears of its end all the same: nobody reads it any more.
    const output = { fd: 1, events: 0, revents: 0 };
    for (let wait = FIRST_INTERVAL; poll([output], wait) === 0; wait = INTERVAL) {
      const usages = watch.look();
      const rows = usages.map((usage) => statsRow(usage, values["no-trunc"]));
      const text = formatRows(format, rows, STATS_HEADINGS);
      await print(onScreen ? onCleanScreen(text) : text);
      const isOver = names.length > 0 && usages.length === 0;
      if (values["no-stream"] || isOver) break;
    }
    return 0;
  },
});

/** Line by line over what was there, which does not flicker. */
const onCleanScreen = (text: string): string =>
  `${HOME}${text.replaceAll("\n", `${CLEAR_LINE}\n`)}${CLEAR_BELOW}`;
