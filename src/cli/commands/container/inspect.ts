import { defineCommand, requireRoot } from "../../command.ts";
import { forEachArgument } from "../../each.ts";
import { formatObject } from "../../format.ts";
import { print } from "../../output.ts";
import { reportError } from "../../report.ts";

/** `mydocker inspect`. */
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
  positionals: {
    usage: "CONTAINER [CONTAINER...]",
    min: 1,
    max: Number.POSITIVE_INFINITY,
    complete: "container",
  },
  rules: { later: { size: "s", type: "" } },
  async run({ values, positionals }) {
    requireRoot("mydocker inspect");
    const { inspectContainer } = await import("../../../engine/lifecycle_inspect.ts");
    const { statePaths } = await import("../../../paths.ts");
    const paths = statePaths();
    const found: object[] = [];
    const exitCode = await forEachArgument(
      positionals,
      (container) => {
        found.push(inspectContainer(paths, container));
      },
      reportError,
    );
    const { format } = values;
    if (format === undefined) await print(`${JSON.stringify(found, null, 4)}\n`);
    else await print(found.map((each) => formatObject(format, each)).join(""));
    return exitCode;
  },
});
