import { defineCommand, requireRoot } from "../../command.ts";
import { forEachArgument } from "../../each.ts";
import { print } from "../../output.ts";
import { reportError } from "../../report.ts";
import { readLate } from "../../values/read_late.ts";
import { parseSignal } from "../../values/signal.ts";

const readSignal = readLate(parseSignal);

/** `mydocker kill`. */
export const command = defineCommand({
  options: {
    signal: {
      type: "value",
      short: "s",
      value: "signal",
      description: "Signal to send, KILL by default",
      parse: readSignal,
    },
  },
  positionals: {
    usage: "CONTAINER [CONTAINER...]",
    min: 1,
    max: Number.POSITIVE_INFINITY,
    complete: "container",
  },
  async run({ values, positionals }) {
    requireRoot("mydocker kill");
    const { killContainer } = await import("../../../engine/lifecycle_stop.ts");
    const { statePaths } = await import("../../../paths.ts");
    const paths = statePaths();
    return await forEachArgument(
      positionals,
      async (container) => {
        killContainer(paths, container, values.signal ?? parseSignal("KILL"), parseSignal);
        await print(`${container}\n`);
      },
      reportError,
    );
  },
});
