/** `list`: all containers of this `--root`. */
import { MydockerError } from "../../errors.ts";
import { type State, stateOf, statusOf } from "../../runtime/state.ts";
import { RuntimeStore } from "../../runtime/store.ts";
import { print } from "../output.ts";
import { drawTable } from "../table.ts";
import { defineOciCommand } from "./command.ts";
import type { Globals } from "./globals.ts";
import { report } from "./report.ts";

/** As runc's. */
export const command = defineOciCommand({
  description: "List containers",
  options: {
    format: { type: "value", short: "f", value: "FORMAT", description: "table or json" },
    quiet: { type: "boolean", short: "q", description: "Show ids only" },
  },
  usage: "",
  min: 0,
  max: 0,
  async run({ values: { format = "table", quiet } }, globals) {
    const states = readStates(globals);
    if (quiet) await print(states.map(({ id }) => `${id}\n`).join(""));
    else if (format === "json") await print(`${JSON.stringify(states)}\n`);
    else if (format === "table") await print(asTable(states));
    else throw new MydockerError(`invalid format ${JSON.stringify(format)}: table or json`);
    return undefined;
  },
});

/** A damaged one harms only itself. */
function readStates(globals: Globals): State[] {
  const store = new RuntimeStore(globals.root);
  return store.list().flatMap((id) => {
    try {
      const record = store.tryRead(id);
      return record === undefined ? [] : [stateOf(record, statusOf(store, record))];
    } catch (error) {
      report("warning", error instanceof Error ? error.message : String(error), globals);
      return [];
    }
  });
}

function asTable(states: readonly State[]): string {
  return drawTable([
    ["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"],
    ...states.map(({ id, pid, status, bundle, created, owner }) => [
      id,
      String(pid),
      status,
      bundle,
      created,
      owner,
    ]),
  ]);
}
