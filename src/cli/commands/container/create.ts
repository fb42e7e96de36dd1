import { defineCommand, requireRoot } from "../../command.ts";
import { print } from "../../output.ts";
import { composeRunOptions } from "../../run_options.ts";
import { LATER_RUN_OPTIONS, RUN_OPTIONS } from "../../run_table.ts";
import { parseContainerName } from "../../values/identity.ts";
import { readLate } from "../../values/read_late.ts";

const {
  detach: _detach,
  "detach-keys": _detachKeys,
  "sig-proxy": _sigProxy,
  ...CREATE_OPTIONS
} = RUN_OPTIONS;

const readName = readLate(parseContainerName);

/** `mydocker create`. */
export const command = defineCommand({
  options: {
    ...CREATE_OPTIONS,
    name: { ...RUN_OPTIONS.name, parse: readName },
  },
  positionals: {
    usage: "[IMAGE] [COMMAND] [ARG...]",
    min: 0,
    max: Number.POSITIVE_INFINITY,
    complete: "image",
  },
  rules: { stopAtPositional: true, later: LATER_RUN_OPTIONS },
  failureCode: 1,
  async run(input) {
    const values = {
      ...input.values,
      ...{ detach: false, "detach-keys": undefined, "sig-proxy": true },
    };
    const options = composeRunOptions({ ...input, values });
    requireRoot("mydocker create");
    if (options.ports !== undefined && options.network !== "host") {
      const { warnOfFirewall } = await import("../../../engine/network_warning.ts");
      warnOfFirewall(options.ports);
    }
    const { createOnly } = await import("../../../engine/lifecycle_start.ts");
    const { statePaths } = await import("../../../paths.ts");
    await print(`${await createOnly(statePaths(), options)}\n`);
    return 0;
  },
});
