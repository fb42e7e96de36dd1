import { defineCommand, requireRoot } from "../../command.ts";
import { forEachArgument } from "../../each.ts";
import { print } from "../../output.ts";
import { reportError } from "../../report.ts";

/** `mydocker wait`. */
export const command = defineCommand({
  options: {},
  positionals: {
    usage: "CONTAINER [CONTAINER...]",
    min: 1,
    max: Number.POSITIVE_INFINITY,
    complete: "container",
  },
  async run({ positionals }) {
    requireRoot("mydocker wait");
    const { waitForContainer } = await import("../../../engine/lifecycle_stop.ts");
    const { statePaths } = await import("../../../paths.ts");
    const paths = statePaths();
    return await forEachArgument(
      positionals,
      async (container) => {
        await print(`${waitForContainer(paths, container)}\n`);
      },
      reportError,
    );
  },
});
