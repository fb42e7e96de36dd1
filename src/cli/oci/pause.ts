/** `pause`: everything in a container stops. */
import { pauseContainer } from "../../runtime/pause.ts";
import { RuntimeStore } from "../../runtime/store.ts";
import { defineOciCommand } from "./command.ts";

/** As runc's. */
export const command = defineOciCommand({
  description: "Suspend every process of a container",
  options: {},
  usage: "ID",
  min: 1,
  max: 1,
  run({ positionals: [id = ""] }, globals) {
    pauseContainer(new RuntimeStore(globals.root), id);
    return undefined;
  },
});
