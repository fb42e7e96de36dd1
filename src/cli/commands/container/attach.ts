import { defineCommand, requireRoot } from "../../command.ts";
import { defined } from "../../defined.ts";

/** `mydocker attach`. */
export const command = defineCommand({
  options: {
    "detach-keys": {
      type: "value",
      value: "keys",
      description: "Keys that leave the container running, ctrl-p,ctrl-q by default",
    },
    "no-stdin": { type: "boolean", description: "Send it no input" },
    "sig-proxy": {
      type: "boolean",
      default: true,
      description: "Forward signals to the container, on by default",
    },
  },
  positionals: { usage: "CONTAINER", min: 1, max: 1, complete: "container" },
  async run({ values, positionals: [container = ""] }) {
    requireRoot("mydocker attach");
    const { attachTo } = await import("../../../engine/attach.ts");
    const { statePaths } = await import("../../../paths.ts");
    return await attachTo(statePaths(), container, {
      input: !values["no-stdin"],
      sigProxy: values["sig-proxy"],
      ...defined({ detachKeys: values["detach-keys"] }),
    });
  },
});
