/** `ps`: the processes of a container. */
import { openRecord } from "../../cgroups/record.ts";
import { MydockerError } from "../../errors.ts";
import { RuntimeStore } from "../../runtime/store.ts";
import { print } from "../output.ts";
import { defineOciCommand } from "./command.ts";

/** As runc's: the table is that of ps(1), less the lines of other processes. */
export const command = defineOciCommand({
  description: "Show the processes of a container",
  options: {
    format: { type: "value", short: "f", value: "FORMAT", description: "table or json" },
  },
  usage: "ID [PS-OPTION...]",
  min: 1,
  max: 1000,
  async run({ positionals: [id = "", ...psOptions], values: { format = "table" } }, globals) {
    const record = new RuntimeStore(globals.root).read(id);
    if (record.cgroup.hierarchies.length === 0)
      throw new MydockerError(`cannot tell the processes of ${id}: it has no cgroup`);
    const pids = openRecord(record.cgroup).pids();
    if (format === "json") await print(`${JSON.stringify(pids)}\n`);
    else if (format === "table") await print(processTable(pids, psOptions));
    else throw new MydockerError(`invalid format ${JSON.stringify(format)}: table or json`);
    return undefined;
  },
});

function processTable(pids: readonly number[], options: readonly string[]): string {
  const args = options.length === 0 ? ["-ef"] : [...options];
  const result = Bun.spawnSync(["ps", ...args]);
  const lines = result.stdout.toString().trimEnd().split("\n");
  if (!result.success) throw new MydockerError(`ps: ${result.stderr.toString().trim()}`);
  const column = (lines[0] ?? "").trim().split(/\s+/).indexOf("PID");
  if (column < 0)
    throw new MydockerError("ps shows no column PID: the container's lines cannot be told");
  const wanted = new Set(pids.map(String));
  const rows = lines.slice(1).filter((line) => wanted.has(line.trim().split(/\s+/)[column] ?? ""));
  return [lines[0], ...rows, ""].join("\n");
}
