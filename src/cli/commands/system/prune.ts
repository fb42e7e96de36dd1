import { MydockerError } from "../../../errors.ts";
import { defineCommand, requireRoot } from "../../command.ts";
import { FORCE_PRUNE, pruneConditions, pruneFilter } from "../../prune_filters.ts";
import type { PruneReport } from "../../prune_text.ts";
import type { Filter } from "../../values/filter.ts";

/** `mydocker system prune`. */
export const command = defineCommand({
  options: {
    all: { type: "boolean", short: "a", description: "Also images that have a tag" },
    filter: pruneFilter("until=TIME, label=KEY[=VALUE], label!=KEY[=VALUE]"),
    force: FORCE_PRUNE,
    volumes: { type: "boolean", description: "Also volumes that nobody gave a name" },
  },
  positionals: { usage: "", min: 0, max: 0 },
  async run({ values: { all, filter, force, volumes } }) {
    const conditions = pruneConditions(filter, ["label", "label!", "until"]);
    if (volumes && conditions.until !== undefined)
      throw new MydockerError(`The "until" filter is not supported with "--volumes"`);
    requireRoot("mydocker system prune");
    const { pruneContainers, pruneImages, pruneVolumes } = await import("../../../engine/prune.ts");
    const { pruneNetworks } = await import("../../../engine/network_commands.ts");
    const { statePaths } = await import("../../../paths.ts");
    const { pruneWithQuestion, removedImageLine } = await import("../../prune_text.ts");
    const paths = statePaths();
    const kinds: { readonly what: string; readonly prune: () => PruneReport }[] = [
      {
        what: "all stopped containers",
        prune() {
          const { removed, ...rest } = pruneContainers(paths, conditions);
          return { heading: "Deleted Containers:", lines: removed, ...rest };
        },
      },
      {
        what: "all networks not used by at least one container",
        prune() {
          const { removed, problems } = pruneNetworks(paths, conditions);
          return { heading: "Deleted Networks:", lines: removed, reclaimed: 0, problems };
        },
      },
    ];
    if (volumes)
      kinds.push({
        what: "all anonymous volumes not used by at least one container",
        prune() {
          const { removed, ...rest } = pruneVolumes(paths, conditions, false);
          return { heading: "Deleted Volumes:", lines: removed, ...rest };
        },
      });
    kinds.push({
      what: all
        ? "all images without at least one container associated to them"
        : "all dangling images",
      prune() {
        const { removed, ...rest } = pruneImages(paths, conditions, all);
        return { heading: "Deleted Images:", lines: removed.map(removedImageLine), ...rest };
      },
    });
    const exitCode = await pruneWithQuestion(
      warning(
        kinds.map(({ what }) => what),
        filter,
      ),
      force,
      kinds.map(({ prune }) => prune),
    );
    return exitCode ?? 0;
  },
});

/** In Docker's layout (docker/cli: command/system/prune.go). */
function warning(kinds: readonly string[], filters: readonly Filter[]): string {
  const lines = ["WARNING! This will remove:", ...kinds.map((what) => `  - ${what}`), ""];
  if (filters.length > 0) {
    const shown = filters.map(({ name, value }) => `  - ${name}=${value}`);
    lines.push("  Items to be pruned will be filtered with:", ...shown.sort(), "");
  }
  return lines.join("\n");
}
