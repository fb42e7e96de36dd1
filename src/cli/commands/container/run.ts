import { defineCommand, requireRoot } from "../../command.ts";
import { defined } from "../../defined.ts";
import { print } from "../../output.ts";
import { composeRunOptions } from "../../run_options.ts";
import { LATER_RUN_OPTIONS, RUN_OPTIONS } from "../../run_table.ts";

/** `mydocker run`. */
export const command = defineCommand({
  options: RUN_OPTIONS,
  positionals: {
    usage: "[IMAGE] [COMMAND] [ARG...]",
    min: 0,
    max: Number.POSITIVE_INFINITY,
    complete: "image",
  },
  rules: { stopAtPositional: true, later: LATER_RUN_OPTIONS },
  failureCode: 125,
  async run(input) {
    const options = composeRunOptions(input);
    requireRoot("mydocker run");
    if (options.ports !== undefined && options.network !== "host") {
      const { warnOfFirewall } = await import("../../../engine/network_warning.ts");
      warnOfFirewall(options.ports);
    }
    if (!input.values.detach) {
      const { runContainer } = await import("../../../engine/run.ts");
      return await runContainer(options, defined({ detachKeys: input.values["detach-keys"] }));
    }
    const { startMonitor } = await import("../../../engine/monitor_request.ts");
    const { withImage } = await import("../../../engine/with_image.ts");
    const { id } = await withImage(options, async () => startMonitor({ kind: "run", options }));
    await print(`${id}\n`);
    return 0;
  },
});
