import { defineCommand, requireRoot } from "../../command.ts";
import { print } from "../../output.ts";

/** `mydocker diff`. */
export const command = defineCommand({
  options: {},
  positionals: { usage: "CONTAINER", min: 1, max: 1, complete: "container" },
  async run({ positionals: [container = ""] }) {
    requireRoot("mydocker diff");
    const { containerChanges } = await import("../../../engine/diff.ts");
    const { findContainer } = await import("../../../engine/lifecycle_process.ts");
    const { statePaths } = await import("../../../paths.ts");
    const changes = containerChanges(findContainer(statePaths(), container));
    await print(changes.map(({ kind, path }) => `${kind} ${path}\n`).join(""));
    return 0;
  },
});
