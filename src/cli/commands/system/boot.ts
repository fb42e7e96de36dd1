import { defineCommand, requireRoot } from "../../command.ts";
import { print } from "../../output.ts";
import { reportError } from "../../report.ts";

/** `mydocker system boot`. */
export const command = defineCommand({
  options: {},
  positionals: { usage: "", min: 0, max: 0 },
  async run() {
    requireRoot("mydocker system boot");
    const { bootContainers } = await import("../../../engine/boot.ts");
    const { statePaths } = await import("../../../paths.ts");
    const allStarted = await bootContainers(statePaths(), {
      started: (name) => print(`${name}\n`),
      failed: reportError,
    });
    return allStarted ? 0 : 1;
  },
});
