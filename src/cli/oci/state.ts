/** `state`: what a container is, as JSON. */
import { stateOf, statusOf } from "../../runtime/state.ts";
import { RuntimeStore } from "../../runtime/store.ts";
import { print } from "../output.ts";
import { defineOciCommand } from "./command.ts";

/** As runc's. */
export const command = defineOciCommand({
  description: "Show the state of a container",
  options: {},
  usage: "ID",
  min: 1,
  max: 1,
  async run({ positionals: [id = ""] }, globals) {
    const store = new RuntimeStore(globals.root);
    const record = store.read(id);
    await print(`${JSON.stringify(stateOf(record, statusOf(store, record)), null, 2)}\n`);
    return undefined;
  },
});
