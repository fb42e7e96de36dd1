import { defineCommand, requireRoot } from "../../command.ts";
import { defined } from "../../defined.ts";
import { print } from "../../output.ts";

/** `mydocker commit`. */
export const command = defineCommand({
  options: {
    author: {
      type: "value",
      short: "a",
      value: "text",
      description: "Who made the image",
    },
    change: {
      type: "list",
      short: "c",
      value: "instruction",
      description: "Apply a Dockerfile instruction, such as 'CMD [\"sh\"]'",
    },
    message: {
      type: "value",
      short: "m",
      value: "text",
      description: "What the image's history says of it",
    },
    pause: {
      type: "boolean",
      short: "p",
      default: true,
      description: "Keep the container from running meanwhile",
    },
  },
  positionals: { usage: "CONTAINER [NAME[:TAG]]", min: 1, max: 2, complete: "container" },
  async run({ values, positionals: [container = "", name] }) {
    requireRoot("mydocker commit");
    const { commitContainer } = await import("../../../engine/commit.ts");
    const { findContainer } = await import("../../../engine/lifecycle_process.ts");
    const { log } = await import("../../../log.ts");
    const { statePaths } = await import("../../../paths.ts");
    const warn = (message: string) => log.warn(message);
    const { id, warnings } = await commitContainer(findContainer(statePaths(), container), {
      changes: values.change,
      pause: values.pause,
      warn,
      ...defined({ name, author: values.author, message: values.message }),
    });
    for (const warning of warnings) warn(warning);
    await print(`${id}\n`);
    return 0;
  },
});
