import { defineCommand, requireRoot } from "../../command.ts";
import { print } from "../../output.ts";
import { drawTable } from "../../table.ts";

/** `mydocker top`. */
export const command = defineCommand({
  options: {},
  positionals: {
    usage: "CONTAINER [ps OPTIONS]",
    min: 1,
    max: Number.POSITIVE_INFINITY,
    complete: "container",
  },
  rules: { stopAtPositional: true },
  async run({ positionals: [container = "", ...options] }) {
    requireRoot("mydocker top");
    const { containerProcesses } = await import("../../../engine/lifecycle_top.ts");
    const { statePaths } = await import("../../../paths.ts");
    const { titles, rows } = containerProcesses(statePaths(), container, options);
    await print(drawTable([titles, ...rows]));
    return 0;
  },
});
