/** `run`: create and start at once; in the foreground until the process has ended, or detached. */
import { createContainer } from "../../runtime/create.ts";
import { deleteContainer } from "../../runtime/delete.ts";
import { runPoststart } from "../../runtime/start.ts";
import { defineOciCommand } from "./command.ts";
import { CREATE_OPTIONS, createOptions } from "./create_options.ts";
import { report } from "./report.ts";

/** As runc's. */
export const command = defineOciCommand({
  description: "Create and start a container",
  options: {
    ...CREATE_OPTIONS,
    detach: { type: "boolean", short: "d", description: "Leave when the process runs" },
    keep: {
      type: "boolean",
      description: "Do not delete the container when its process has ended",
    },
    "no-subreaper": { type: "boolean", description: "Taken for compatibility", hidden: true },
  },
  usage: "ID",
  min: 1,
  max: 1,
  async run({ positionals: [id = ""], values }, globals) {
    const warn = (message: string) => report("warning", message, globals);
    const detached = values.detach;
    const foreground = detached ? undefined : await import("./attend.ts");
    using signals = foreground?.catchSignals();
    const mode = { startNow: true, detached };
    const created = await createContainer(createOptions(id, values, globals, mode));
    const { store, record, started } = created;
    runPoststart(store, record, warn);
    if (foreground === undefined || signals === undefined) return 0;
    const status = await foreground.attendTo(started, signals);
    if (!values.keep) await deleteContainer(store, id, { force: true, warn });
    return status.code;
  },
});
