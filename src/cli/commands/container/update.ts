import { MydockerError } from "../../../errors.ts";
import { defineCommand, requireRoot } from "../../command.ts";
import { forEachArgument } from "../../each.ts";
import { print } from "../../output.ts";
import { reportError } from "../../report.ts";
import { composeResources } from "../../run_resources.ts";
import { RUN_OPTIONS } from "../../run_table.ts";
import { parseRestart } from "../../values/restart.ts";

/** `mydocker update`. */
export const command = defineCommand({
  options: {
    "cpu-period": RUN_OPTIONS["cpu-period"],
    "cpu-quota": RUN_OPTIONS["cpu-quota"],
    "cpu-shares": RUN_OPTIONS["cpu-shares"],
    cpus: RUN_OPTIONS.cpus,
    "cpuset-cpus": RUN_OPTIONS["cpuset-cpus"],
    "cpuset-mems": RUN_OPTIONS["cpuset-mems"],
    memory: RUN_OPTIONS.memory,
    "memory-reservation": RUN_OPTIONS["memory-reservation"],
    "memory-swap": RUN_OPTIONS["memory-swap"],
    "pids-limit": RUN_OPTIONS["pids-limit"],
    restart: RUN_OPTIONS.restart,
  },
  positionals: {
    usage: "CONTAINER [CONTAINER...]",
    min: 1,
    max: Number.POSITIVE_INFINITY,
    complete: "container",
  },
  rules: {
    later: { "blkio-weight": "", "cpu-rt-period": "", "cpu-rt-runtime": "", "kernel-memory": "" },
  },
  async run({ values, positionals }) {
    if (Object.values(values).every((value) => value === undefined)) {
      throw new MydockerError("you must provide one or more flags when using this command");
    }
    // 0 is what means no limit; that one is absent means that it stays.
    const limits = {
      ...values,
      "pids-limit": values["pids-limit"] === 0 ? -1 : values["pids-limit"],
    };
    const resources = composeResources(limits, navigator.hardwareConcurrency, { isChange: true });
    const restart = values.restart === undefined ? {} : { restart: parseRestart(values.restart) };
    requireRoot("mydocker update");
    const { updateContainer } = await import("../../../engine/lifecycle_update.ts");
    const { statePaths } = await import("../../../paths.ts");
    const paths = statePaths();
    return await forEachArgument(
      positionals,
      async (container) => {
        updateContainer(paths, container, { resources, ...restart });
        await print(`${container}\n`);
      },
      reportError,
    );
  },
});
