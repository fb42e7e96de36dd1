/** `resume`: a paused container goes on. */
import { resumeContainer } from "../../runtime/pause.ts";
import { RuntimeStore } from "../../runtime/store.ts";
import { defineOciCommand } from "./command.ts";

/** As runc's. */
export const command = defineOciCommand({
  description: "Let a paused container go on",
  options: {},
  usage: "ID",
  min: 1,
  max: 1,
  run({ positionals: [id = ""] }, globals) {
    resumeContainer(new RuntimeStore(globals.root), id);
    return undefined;
  },
});
