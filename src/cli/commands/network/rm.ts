import { defineCommand, requireRoot } from "../../command.ts";
import { forEachArgument } from "../../each.ts";
import { print } from "../../output.ts";
import { reportError } from "../../report.ts";

/** `mydocker network rm`. */
export const command = defineCommand({
  options: {
    force: { type: "boolean", short: "f", description: "One that is not there is no failure" },
  },
  positionals: { usage: "NETWORK [NETWORK...]", min: 1, max: Number.POSITIVE_INFINITY },
  async run({ values, positionals }) {
    requireRoot("mydocker network rm");
    const { removeNamedNetwork } = await import("../../../engine/network_commands.ts");
    const { statePaths } = await import("../../../paths.ts");
    const paths = statePaths();
    return await forEachArgument(
      positionals,
      async (name) => {
        removeNamedNetwork(paths, name);
        await print(`${name}\n`);
      },
      reportError,
      { mayBeMissing: values.force },
    );
  },
});
