import { MydockerError } from "../../../errors.ts";
import { defineCommand, requireRoot } from "../../command.ts";
import { defined } from "../../defined.ts";
import { forEachArgument } from "../../each.ts";
import { print } from "../../output.ts";
import { reportError } from "../../report.ts";
import { composeResources } from "../../run_resources.ts";
import { RUN_OPTIONS } from "../../run_table.ts";
import { parsePublish } from "../../values/publish.ts";
import { parseRestart } from "../../values/restart.ts";

/** `mydocker update`. */
export const command = defineCommand({
  options: {
    "blkio-weight": RUN_OPTIONS["blkio-weight"],
    "cpu-period": RUN_OPTIONS["cpu-period"],
    "cpu-quota": RUN_OPTIONS["cpu-quota"],
    "cpu-rt-period": RUN_OPTIONS["cpu-rt-period"],
    "cpu-rt-runtime": RUN_OPTIONS["cpu-rt-runtime"],
    "cpu-shares": RUN_OPTIONS["cpu-shares"],
    cpus: RUN_OPTIONS.cpus,
    "cpuset-cpus": RUN_OPTIONS["cpuset-cpus"],
    "cpuset-mems": RUN_OPTIONS["cpuset-mems"],
    "kernel-memory": RUN_OPTIONS["kernel-memory"],
    memory: RUN_OPTIONS.memory,
    "memory-reservation": RUN_OPTIONS["memory-reservation"],
    "memory-swap": RUN_OPTIONS["memory-swap"],
    "pids-limit": RUN_OPTIONS["pids-limit"],
    publish: {
      type: "list",
      short: "p",
      value: "[[ip:]host:]container",
      description: "Publish a port also; '' first: instead of those that are",
      parse: (text: string) => (text === "" ? undefined : parsePublish(text)),
    },
    restart: RUN_OPTIONS.restart,
  },
  positionals: {
    usage: "CONTAINER [CONTAINER...]",
    min: 1,
    max: Number.POSITIVE_INFINITY,
    complete: "container",
  },
  async run({ values, positionals }) {
    const { publish, ...others } = values;
    const isNothing = Object.values(others).every((value) => value === undefined);
    if (isNothing && publish.length === 0) {
      throw new MydockerError("you must provide one or more flags when using this command");
    }
    // 0 is what means no limit; that one is absent means that it stays.
    const limits = {
      ...others,
      "pids-limit": values["pids-limit"] === 0 ? -1 : values["pids-limit"],
    };
    const resources = {
      ...composeResources(limits, navigator.hardwareConcurrency, { isChange: true }),
      ...defined({ blkioWeight: values["blkio-weight"] || undefined }),
    };
    const restart = values.restart === undefined ? {} : { restart: parseRestart(values.restart) };
    requireRoot("mydocker update");
    const { updateContainer } = await import("../../../engine/lifecycle_update.ts");
    const { statePaths } = await import("../../../paths.ts");
    const paths = statePaths();
    const ports = publish.flatMap((each) => each ?? []);
    if (ports.length > 0) {
      const { warnOfFirewall } = await import("../../../engine/network_warning.ts");
      warnOfFirewall(ports);
    }
    return await forEachArgument(
      positionals,
      async (container) => {
        if (!isNothing) updateContainer(paths, container, { resources, ...restart });
        if (publish.length > 0) {
          const { updatePorts } = await import("../../../engine/network_publish.ts");
          updatePorts(paths, container, { replace: publish[0] === undefined, ports });
        }
        await print(`${container}\n`);
      },
      reportError,
    );
  },
});
