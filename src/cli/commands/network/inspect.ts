import { defineCommand, requireRoot } from "../../command.ts";
import { forEachArgument } from "../../each.ts";
import { formatObject } from "../../format.ts";
import { networkShape } from "../../network_rows.ts";
import { print } from "../../output.ts";
import { reportError } from "../../report.ts";

/** `mydocker network inspect`. */
export const command = defineCommand({
  options: {
    format: {
      type: "value",
      short: "f",
      value: "format",
      description: "json, or a Go template",
      complete: ["json"],
    },
  },
  positionals: { usage: "NETWORK [NETWORK...]", min: 1, max: Number.POSITIVE_INFINITY },
  async run({ values, positionals }) {
    requireRoot("mydocker network inspect");
    const { inspectNetwork } = await import("../../../engine/network_commands.ts");
    const { statePaths } = await import("../../../paths.ts");
    const paths = statePaths();
    const found: object[] = [];
    const exitCode = await forEachArgument(
      positionals,
      (name) => void found.push(networkShape(inspectNetwork(paths, name))),
      reportError,
    );
    const { format } = values;
    if (format === undefined) await print(`${JSON.stringify(found, null, 4)}\n`);
    else await print(found.map((each) => formatObject(format, each)).join(""));
    return exitCode;
  },
});
