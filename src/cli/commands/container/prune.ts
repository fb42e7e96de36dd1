import { defineCommand, requireRoot } from "../../command.ts";
import { FORCE_PRUNE, pruneConditions, pruneFilter } from "../../prune_filters.ts";

/** `mydocker container prune`. */
export const command = defineCommand({
  options: {
    filter: pruneFilter("until=TIME, label=KEY[=VALUE], label!=KEY[=VALUE]"),
    force: FORCE_PRUNE,
  },
  positionals: { usage: "", min: 0, max: 0 },
  async run({ values }) {
    const conditions = pruneConditions(values.filter, ["label", "label!", "until"]);
    requireRoot("mydocker container prune");
    const { pruneContainers } = await import("../../../engine/prune.ts");
    const { statePaths } = await import("../../../paths.ts");
    const { pruneKind } = await import("../../prune_text.ts");
    return await pruneKind(
      "WARNING! This will remove all stopped containers.",
      values.force,
      () => {
        const { removed, ...rest } = pruneContainers(statePaths(), conditions);
        return { heading: "Deleted Containers:", lines: removed, ...rest };
      },
    );
  },
});
