/** `delete`: what is left of a container that has stopped. */
import { deleteContainer } from "../../runtime/delete.ts";
import { RuntimeStore } from "../../runtime/store.ts";
import { defineOciCommand } from "./command.ts";
import { report } from "./report.ts";

/** As runc's. */
export const command = defineOciCommand({
  description: "Delete a container that has stopped",
  options: {
    force: {
      type: "boolean",
      short: "f",
      description: "Kill it first if it has not stopped; fine if missing",
    },
  },
  usage: "ID",
  min: 1,
  max: 1,
  async run({ positionals: [id = ""], values: { force } }, globals) {
    const warn = (message: string) => report("warning", message, globals);
    await deleteContainer(new RuntimeStore(globals.root), id, { force, warn });
    return undefined;
  },
});
