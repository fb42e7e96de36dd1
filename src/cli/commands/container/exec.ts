import { defineCommand, requireRoot } from "../../command.ts";
import { defined } from "../../defined.ts";
import { composeEnvironment } from "../../run_options.ts";
import { RUN_OPTIONS } from "../../run_table.ts";

/** `mydocker exec`. */
export const command = defineCommand({
  options: {
    detach: { type: "boolean", short: "d", description: "Leave when the command runs" },
    env: RUN_OPTIONS.env,
    "env-file": RUN_OPTIONS["env-file"],
    "detach-keys": RUN_OPTIONS["detach-keys"],
    interactive: RUN_OPTIONS.interactive,
    privileged: { type: "boolean", description: "Give the command all capabilities" },
    tty: { type: "boolean", short: "t", description: "Give the command a terminal" },
    user: RUN_OPTIONS.user,
    workdir: RUN_OPTIONS.workdir,
  },
  positionals: {
    usage: "CONTAINER COMMAND [ARG...]",
    min: 2,
    max: Number.POSITIVE_INFINITY,
    complete: "container",
  },
  rules: { stopAtPositional: true },
  async run({ values, positionals: [container = "", ...args] }) {
    const env = composeEnvironment(values["env-file"], values.env);
    requireRoot("mydocker exec");
    const request = {
      args,
      detach: values.detach,
      interactive: values.interactive,
      tty: values.tty,
      privileged: values.privileged,
      env,
      ...defined({ user: values.user, workdir: values.workdir }),
    };
    if (values.detach) {
      const { startMonitor } = await import("../../../engine/monitor_request.ts");
      startMonitor({ kind: "exec", container, request });
      return 0;
    }
    if (values.interactive && values.tty) {
      const { execAttached } = await import("../../../engine/attach.ts");
      return await execAttached(container, request, values["detach-keys"]);
    }
    const { execInContainer } = await import("../../../engine/lifecycle_exec.ts");
    const { statePaths } = await import("../../../paths.ts");
    return await execInContainer(statePaths(), container, request);
  },
});
