import { defineCommand, requireRoot } from "../../command.ts";
import { forEachArgument } from "../../each.ts";
import { print } from "../../output.ts";
import { reportError } from "../../report.ts";

/** `mydocker volume rm`. */
export const command = defineCommand({
  options: {
    force: { type: "boolean", short: "f", description: "Also when it is missing, or damaged" },
  },
  positionals: {
    usage: "VOLUME [VOLUME...]",
    min: 1,
    max: Number.POSITIVE_INFINITY,
    complete: "volume",
  },
  async run({ values, positionals }) {
    requireRoot("mydocker volume rm");
    const { removeVolume } = await import("../../../engine/volume_commands.ts");
    const { statePaths } = await import("../../../paths.ts");
    const paths = statePaths();
    return await forEachArgument(
      positionals,
      async (name) => {
        removeVolume(paths, name, values.force);
        await print(`${name}\n`);
      },
      reportError,
    );
  },
});
