import { defineCommand, requireRoot } from "../../command.ts";
import { forEachArgument } from "../../each.ts";
import { print } from "../../output.ts";
import { reportError } from "../../report.ts";

/** `mydocker start`. */
export const command = defineCommand({
  options: {},
  positionals: {
    usage: "CONTAINER [CONTAINER...]",
    min: 1,
    max: Number.POSITIVE_INFINITY,
    complete: "container",
  },
  rules: {
    later: {
      attach: "a",
      checkpoint: "",
      "checkpoint-dir": "",
      "detach-keys": "",
      interactive: "i",
    },
  },
  async run({ positionals }) {
    requireRoot("mydocker start");
    const { startInBackground } = await import("../../../engine/lifecycle_start.ts");
    const { statePaths } = await import("../../../paths.ts");
    const paths = statePaths();
    return await forEachArgument(
      positionals,
      async (container) => {
        startInBackground(paths, container);
        await print(`${container}\n`);
      },
      reportError,
    );
  },
});
