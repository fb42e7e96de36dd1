import { defineCommand, requireRoot } from "../../command.ts";
import { forEachArgument } from "../../each.ts";
import { print } from "../../output.ts";
import { reportError } from "../../report.ts";

/** `mydocker rm`. */
export const command = defineCommand({
  options: {
    force: { type: "boolean", short: "f", description: "Kill those that run" },
    volumes: {
      type: "boolean",
      short: "v",
      description: "Remove their own volumes as well: those that nobody gave a name",
    },
  },
  positionals: {
    usage: "CONTAINER [CONTAINER...]",
    min: 1,
    max: Number.POSITIVE_INFINITY,
    complete: "container",
  },
  rules: { later: { link: "l" } },
  async run({ values, positionals }) {
    requireRoot("mydocker rm");
    const { removeContainer } = await import("../../../engine/remove.ts");
    const { statePaths } = await import("../../../paths.ts");
    const paths = statePaths();
    return await forEachArgument(
      positionals,
      async (container) => {
        removeContainer(paths, container, { force: values.force, volumes: values.volumes });
        await print(`${container}\n`);
      },
      reportError,
      { mayBeMissing: values.force },
    );
  },
});
