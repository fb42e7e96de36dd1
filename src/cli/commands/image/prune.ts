import { defineCommand, requireRoot } from "../../command.ts";
import { FORCE_PRUNE, isAllMeant, pruneConditions, pruneFilter } from "../../prune_filters.ts";

/** `mydocker image prune`. */
export const command = defineCommand({
  options: {
    all: { type: "boolean", short: "a", description: "Also those that have a tag" },
    filter: pruneFilter("until=TIME, label=KEY[=VALUE], label!=KEY[=VALUE], dangling=BOOL"),
    force: FORCE_PRUNE,
  },
  positionals: { usage: "", min: 0, max: 0 },
  async run({ values }) {
    const conditions = pruneConditions(values.filter, ["dangling", "label", "label!", "until"]);
    const all = isAllMeant(values.all, values.filter, "dangling");
    requireRoot("mydocker image prune");
    const { pruneImages } = await import("../../../engine/prune.ts");
    const { statePaths } = await import("../../../paths.ts");
    const { pruneKind, removedImageLine } = await import("../../prune_text.ts");
    const which = all
      ? "all images without at least one container associated to them"
      : "all dangling images";
    return await pruneKind(`WARNING! This will remove ${which}.`, values.force, () => {
      const { removed, ...rest } = pruneImages(statePaths(), conditions, all);
      return { heading: "Deleted Images:", lines: removed.map(removedImageLine), ...rest };
    });
  },
});
