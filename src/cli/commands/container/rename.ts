import { defineCommand, requireRoot } from "../../command.ts";

/** `mydocker rename`. */
export const command = defineCommand({
  options: {},
  positionals: { usage: "CONTAINER NEW_NAME", min: 2, max: 2, complete: "container" },
  async run({ positionals: [container = "", name = ""] }) {
    requireRoot("mydocker rename");
    const { renameContainer } = await import("../../../engine/lifecycle_start.ts");
    const { statePaths } = await import("../../../paths.ts");
    renameContainer(statePaths(), container, name);
    return 0;
  },
});
