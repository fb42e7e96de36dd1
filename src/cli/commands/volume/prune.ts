import { defineCommand, requireRoot } from "../../command.ts";
import { FORCE_PRUNE, isAllMeant, pruneConditions, pruneFilter } from "../../prune_filters.ts";

/** `mydocker volume prune`. */
export const command = defineCommand({
  options: {
    all: { type: "boolean", short: "a", description: "Also those that somebody gave a name" },
    filter: pruneFilter("label=KEY[=VALUE], label!=KEY[=VALUE]"),
    force: FORCE_PRUNE,
  },
  positionals: { usage: "", min: 0, max: 0 },
  async run({ values }) {
    const conditions = pruneConditions(values.filter, ["all", "label", "label!"]);
    const all = isAllMeant(values.all, values.filter, "all");
    requireRoot("mydocker volume prune");
    const { pruneVolumes } = await import("../../../engine/prune.ts");
    const { statePaths } = await import("../../../paths.ts");
    const { pruneKind } = await import("../../prune_text.ts");
    const which = all ? "all local volumes" : "anonymous local volumes";
    return await pruneKind(
      `WARNING! This will remove ${which} not used by at least one container.`,
      values.force,
      () => {
        const { removed, ...rest } = pruneVolumes(statePaths(), conditions, all);
        return { heading: "Deleted Volumes:", lines: removed, ...rest };
      },
    );
  },
});
