/** `start`: a created container executes its command. */
import { startContainer } from "../../runtime/start.ts";
import { RuntimeStore } from "../../runtime/store.ts";
import { defineOciCommand } from "./command.ts";
import { report } from "./report.ts";

/** As runc's. */
export const command = defineOciCommand({
  description: "Execute the process of a created container",
  options: {},
  usage: "ID",
  min: 1,
  max: 1,
  run({ positionals: [id = ""] }, globals) {
    startContainer(new RuntimeStore(globals.root), id, (message) =>
      report("warning", message, globals),
    );
    return undefined;
  },
});
