import { defineCommand, requireRoot } from "../../command.ts";
import { FORMAT_OPTION, inspectEach } from "../../inspect_each.ts";
import { networkShape } from "../../network_rows.ts";

/** `mydocker network inspect`. */
export const command = defineCommand({
  options: {
    format: FORMAT_OPTION,
  },
  positionals: { usage: "NETWORK [NETWORK...]", min: 1, max: Number.POSITIVE_INFINITY },
  async run({ values, positionals }) {
    requireRoot("mydocker network inspect");
    const { inspectNetwork } = await import("../../../engine/network_commands.ts");
    const { statePaths } = await import("../../../paths.ts");
    const paths = statePaths();
    return await inspectEach(positionals, values.format, (name) =>
      networkShape(inspectNetwork(paths, name)),
    );
  },
});
