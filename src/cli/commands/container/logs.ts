import { defineCommand, requireRoot } from "../../command.ts";
import { defined } from "../../defined.ts";
import { readLate } from "../../values/read_late.ts";
import { parseTail, parseTimestamp } from "../../values/timestamp.ts";

const readTime = readLate(parseTimestamp);

/** `mydocker logs`. */
export const command = defineCommand({
  options: {
    details: { type: "boolean", description: "Say what else is on record of each line" },
    follow: { type: "boolean", short: "f", description: "Go on with what it writes" },
    since: {
      type: "value",
      value: "time",
      description: "Only what is younger: a time, or how long ago, such as 42m",
      parse: readTime,
    },
    tail: {
      type: "value",
      short: "n",
      value: "number",
      description: "So many of the last lines, or all",
      parse: parseTail,
    },
    timestamps: { type: "boolean", short: "t", description: "Say when each line was written" },
    until: {
      type: "value",
      value: "time",
      description: "Only what is older",
      parse: readTime,
    },
  },
  positionals: { usage: "CONTAINER", min: 1, max: 1, complete: "container" },
  async run({ values, positionals: [container = ""] }) {
    requireRoot("mydocker logs");
    const { showLogs } = await import("../../../engine/logs.ts");
    const { statePaths } = await import("../../../paths.ts");
    showLogs(statePaths(), container, {
      follow: values.follow,
      timestamps: values.timestamps,
      details: values.details,
      ...defined({
        tail: values.tail === "all" ? undefined : values.tail,
        since: values.since,
        until: values.until,
      }),
    });
    return 0;
  },
});
