import { defineCommand, requireRoot } from "../../command.ts";
import { defined } from "../../defined.ts";
import { parseFilter } from "../../values/filter.ts";
import { readLate } from "../../values/read_late.ts";
import { parseTimestamp } from "../../values/timestamp.ts";

const readTime = readLate(parseTimestamp);

/** `mydocker events`. */
export const command = defineCommand({
  options: {
    filter: {
      type: "list",
      short: "f",
      value: "filter",
      description: "Only such events, as in 'event=die' or 'container=web'",
      parse: parseFilter,
    },
    format: {
      type: "value",
      value: "format",
      description: "json, or a Go template",
      complete: ["json"],
    },
    since: {
      type: "value",
      value: "time",
      description: "Also what happened since then: a time, or how long ago, such as 42m",
      parse: readTime,
    },
    until: {
      type: "value",
      value: "time",
      description: "What happens until then",
      parse: readTime,
    },
  },
  positionals: { usage: "", min: 0, max: 0 },
  async run({ values: { filter, format, since, until } }) {
    requireRoot("mydocker events");
    if (format !== undefined) {
      const { checkFormat } = await import("../../format.ts");
      checkFormat(format);
    }
    const { eventLine, formatEvent } = await import("../../event_text.ts");
    const { showEvents } = await import("../../../engine/events_reader.ts");
    const { statePaths } = await import("../../../paths.ts");
    showEvents(statePaths(), { filters: filter, ...defined({ since, until }) }, (event) =>
      format === undefined ? eventLine(event) : formatEvent(format, event),
    );
    return 0;
  },
});
