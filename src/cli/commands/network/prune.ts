import { defineCommand, requireRoot } from "../../command.ts";
import { isConfirmed } from "../../confirm.ts";
import { print } from "../../output.ts";
import { FORCE_PRUNE, pruneConditions, pruneFilter } from "../../prune_filters.ts";
import { reportError } from "../../report.ts";

/** `mydocker network prune`. */
export const command = defineCommand({
  options: {
    filter: pruneFilter("until=TIME, label=KEY[=VALUE], label!=KEY[=VALUE]"),
    force: FORCE_PRUNE,
  },
  positionals: { usage: "", min: 0, max: 0 },
  async run({ values }) {
    const conditions = pruneConditions(values.filter, ["label", "label!", "until"]);
    requireRoot("mydocker network prune");
    const warning =
      "WARNING! This will remove all custom networks not used by at least one container.";
    const question = `${warning}\nAre you sure you want to continue?`;
    if (!values.force && !(await isConfirmed(question))) return 0;
    const { pruneNetworks } = await import("../../../engine/network_commands.ts");
    const { statePaths } = await import("../../../paths.ts");
    const { removed, problems } = pruneNetworks(statePaths(), conditions);
    if (removed.length > 0) await print(`${["Deleted Networks:", ...removed, ""].join("\n")}\n`);
    for (const problem of problems) reportError(problem);
    return problems.length === 0 ? 0 : 1;
  },
});
