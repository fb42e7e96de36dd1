import { defineCommand, requireRoot } from "../../command.ts";
import { defined } from "../../defined.ts";
import { forEachArgument } from "../../each.ts";
import { print } from "../../output.ts";
import { reportError } from "../../report.ts";
import { STOP_OPTIONS } from "../../stop_table.ts";
import { parseSignal } from "../../values/signal.ts";

/** `mydocker stop`. */
export const command = defineCommand({
  options: {
    ...STOP_OPTIONS,
    "until-boot": {
      type: "boolean",
      description: "Its restart policy starts it again at the next boot",
      hidden: true,
    },
  },
  positionals: {
    usage: "CONTAINER [CONTAINER...]",
    min: 1,
    max: Number.POSITIVE_INFINITY,
    complete: "container",
  },
  async run({ values, positionals }) {
    requireRoot("mydocker stop");
    const { stopContainer } = await import("../../../engine/lifecycle_stop.ts");
    const { statePaths } = await import("../../../paths.ts");
    const paths = statePaths();
    const options = {
      ...defined({ signal: values.signal, timeout: values.timeout }),
      untilBoot: values["until-boot"],
      parseSignal,
    };
    return await forEachArgument(
      positionals,
      async (container) => {
        stopContainer(paths, container, options);
        await print(`${container}\n`);
      },
      reportError,
    );
  },
});
