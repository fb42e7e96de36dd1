import { MydockerError } from "../../../errors.ts";
import { defineCommand, requireRoot } from "../../command.ts";
import { defined } from "../../defined.ts";
import { forEachArgument } from "../../each.ts";
import { print } from "../../output.ts";
import { reportError } from "../../report.ts";

/** `mydocker start`. */
export const command = defineCommand({
  options: {
    attach: { type: "boolean", short: "a", description: "Show what it writes until it ends" },
    "detach-keys": {
      type: "value",
      value: "keys",
      description: "Keys that leave the container running, ctrl-p,ctrl-q by default",
    },
    interactive: { type: "boolean", short: "i", description: "Send it input, and show its output" },
  },
  positionals: {
    usage: "CONTAINER [CONTAINER...]",
    min: 1,
    max: Number.POSITIVE_INFINITY,
    complete: "container",
  },
  rules: { later: { checkpoint: "", "checkpoint-dir": "" } },
  async run({ values, positionals }) {
    requireRoot("mydocker start");
    const { statePaths } = await import("../../../paths.ts");
    const paths = statePaths();
    if (values.attach || values.interactive) {
      if (positionals.length > 1) {
        throw new MydockerError("you cannot start and attach multiple containers at once");
      }
      const { startAttached } = await import("../../../engine/attach.ts");
      return await startAttached(paths, positionals[0] ?? "", {
        input: values.interactive,
        sigProxy: true,
        ...defined({ detachKeys: values["detach-keys"] }),
      });
    }
    const { startInBackground } = await import("../../../engine/lifecycle_start.ts");
    return await forEachArgument(
      positionals,
      async (container) => {
        startInBackground(paths, container);
        await print(`${container}\n`);
      },
      reportError,
    );
  },
});
