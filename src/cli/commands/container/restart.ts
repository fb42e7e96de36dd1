import { defineCommand, requireRoot } from "../../command.ts";
import { defined } from "../../defined.ts";
import { forEachArgument } from "../../each.ts";
import { print } from "../../output.ts";
import { reportError } from "../../report.ts";
import { STOP_OPTIONS } from "../../stop_table.ts";
import { parseSignal } from "../../values/signal.ts";

/** `mydocker restart`. */
export const command = defineCommand({
  options: STOP_OPTIONS,
  positionals: {
    usage: "CONTAINER [CONTAINER...]",
    min: 1,
    max: Number.POSITIVE_INFINITY,
    complete: "container",
  },
  async run({ values, positionals }) {
    requireRoot("mydocker restart");
    const { restartContainer } = await import("../../../engine/lifecycle_start.ts");
    const { statePaths } = await import("../../../paths.ts");
    const paths = statePaths();
    const options = { ...defined({ signal: values.signal, timeout: values.timeout }), parseSignal };
    return await forEachArgument(
      positionals,
      async (container) => {
        restartContainer(paths, container, options);
        await print(`${container}\n`);
      },
      reportError,
    );
  },
});
