import { defineCommand, requireRoot } from "../../command.ts";
import { formatRows, tableFormat } from "../../format.ts";
import { NETWORK_FORMAT, NETWORK_HEADINGS, networkRow } from "../../network_rows.ts";
import { print } from "../../output.ts";
import { reportError } from "../../report.ts";
import {
  booleanFilter,
  checkFilters,
  hasLabels,
  parseFilter,
  valuesOf,
} from "../../values/filter.ts";

const PREDEFINED = ["bridge", "host", "none"];

/** `mydocker network ls`. */
export const command = defineCommand({
  options: {
    filter: {
      type: "list",
      short: "f",
      value: "filter",
      description: "Show only those: name=, id=, label=, driver=, type=custom|builtin, dangling=",
      parse: parseFilter,
    },
    format: {
      type: "value",
      value: "format",
      description: "json, or a Go template, as a table if it begins with 'table'",
      complete: ["json", "table"],
    },
    "no-trunc": { type: "boolean", description: "Show whole ids" },
    quiet: { type: "boolean", short: "q", description: "Show only the ids" },
  },
  positionals: { usage: "", min: 0, max: 0 },
  async run({ values }) {
    const { filter } = values;
    checkFilters(filter, ["dangling", "driver", "id", "label", "name", "scope", "type"]);
    const isDangling = booleanFilter(filter, "dangling");
    requireRoot("mydocker network ls");
    const { inspectNetwork, listNetworks } = await import("../../../engine/network_commands.ts");
    const { statePaths } = await import("../../../paths.ts");
    const paths = statePaths();
    const { networks, problems } = listNetworks(paths);
    const isAny = (name: string, meets: (value: string) => boolean): boolean => {
      const wanted = valuesOf(filter, name);
      return wanted.length === 0 || wanted.some(meets);
    };
    const isUnused = (name: string): boolean =>
      !PREDEFINED.includes(name) && inspectNetwork(paths, name).members.length === 0;
    const rows = networks
      .filter(({ name }) => isAny("name", (part) => name.includes(part)))
      .filter(({ id }) => isAny("id", (part) => id.startsWith(part)))
      .filter(({ driver }) => isAny("driver", (wanted) => driver === wanted))
      .filter(() => isAny("scope", (wanted) => wanted === "local"))
      .filter(({ name }) =>
        isAny("type", (wanted) => (wanted === "builtin") === PREDEFINED.includes(name)),
      )
      .filter(({ labels }) => hasLabels(labels, valuesOf(filter, "label")))
      .filter(({ name }) => isDangling === undefined || isUnused(name) === isDangling)
      .map((network) => networkRow(network, values["no-trunc"]));
    const format = values.quiet ? "{{.ID}}" : tableFormat(values.format, NETWORK_FORMAT);
    await print(formatRows(format, rows, NETWORK_HEADINGS));
    for (const problem of problems) reportError(problem);
    return problems.length === 0 ? 0 : 1;
  },
});
