/** `kill`: a signal to the first process, or to all. */
import { killContainer } from "../../runtime/delete.ts";
import { RuntimeStore } from "../../runtime/store.ts";
import { parseSignal } from "../values/signal.ts";
import { defineOciCommand } from "./command.ts";

/** As runc's. */
export const command = defineOciCommand({
  description: "Send a signal to a container's process",
  options: {
    all: { type: "boolean", short: "a", description: "To every process in the container" },
  },
  usage: "ID [SIGNAL]",
  min: 1,
  max: 2,
  run({ positionals: [id = "", signal = "SIGTERM"], values }, globals) {
    const store = new RuntimeStore(globals.root);
    killContainer(store, id, { signal: parseSignal(signal), all: values.all });
    return undefined;
  },
});
