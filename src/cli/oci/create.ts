/** `create`: a container whose first process waits for `start`. */
import { createContainer } from "../../runtime/create.ts";
import { defineOciCommand } from "./command.ts";
import { CREATE_OPTIONS, createOptions } from "./create_options.ts";

/** Takes `--detach` too, which the containerd shim passes. */
export const command = defineOciCommand({
  description: "Create a container; its process waits for start",
  options: {
    ...CREATE_OPTIONS,
    detach: { type: "boolean", short: "d", description: "Taken for compatibility", hidden: true },
  },
  usage: "ID",
  min: 1,
  max: 1,
  async run({ positionals: [id = ""], values }, globals) {
    await createContainer(createOptions(id, values, globals, { startNow: false, detached: true }));
    return undefined;
  },
});
