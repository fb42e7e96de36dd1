/** `update`: other limits for a container that runs. */
import { MydockerError } from "../../errors.ts";
import { decodeBytes } from "../../ffi/bytes.ts";
import { readFile, readToEnd } from "../../linux/file.ts";
import { RuntimeStore } from "../../runtime/store.ts";
import { updateContainer } from "../../runtime/update.ts";
import { parseResources } from "../../runtime/validate.ts";
import type { OptionTable, Values } from "../option_table.ts";
import { parseSize } from "../values/size.ts";
import { defineOciCommand } from "./command.ts";

/** Options that are a number in `resources`: its path there. */
const NUMBERS = {
  "blkio-weight": ["blockIO", "weight"],
  "cpu-period": ["cpu", "period"],
  "cpu-quota": ["cpu", "quota"],
  "cpu-burst": ["cpu", "burst"],
  "cpu-rt-period": ["cpu", "realtimePeriod"],
  "cpu-rt-runtime": ["cpu", "realtimeRuntime"],
  "cpu-share": ["cpu", "shares"],
  "cpu-idle": ["cpu", "idle"],
  memory: ["memory", "limit"],
  "memory-reservation": ["memory", "reservation"],
  "memory-swap": ["memory", "swap"],
  "pids-limit": ["pids", "limit"],
} as const;
const TEXTS = { "cpuset-cpus": ["cpu", "cpus"], "cpuset-mems": ["cpu", "mems"] } as const;

const value = (description: string) => ({ type: "value", value: "VALUE", description }) as const;

const OPTIONS = {
  resources: {
    type: "value",
    short: "r",
    value: "FILE",
    description: "JSON like config.json's linux.resources; - for standard input",
    complete: "file",
  },
  "blkio-weight": value("Share of disk time, 10 to 1000"),
  "cpu-period": value("Microseconds of a period"),
  "cpu-quota": value("Microseconds of processor time in each period"),
  "cpu-burst": value("Microseconds that may be saved up"),
  "cpu-rt-period": value("Microseconds of a realtime period"),
  "cpu-rt-runtime": value("Microseconds of realtime in each period"),
  "cpu-share": value("Relative share of processor time"),
  "cpu-idle": value("1: only when nobody else runs"),
  "cpuset-cpus": value("Processors, such as 0-2,4"),
  "cpuset-mems": value("Memory nodes"),
  memory: value("Bytes of memory, also 64m"),
  "memory-reservation": value("Bytes; the soft limit"),
  "memory-swap": value("Bytes of memory and swap together"),
  "pids-limit": value("Processes at once"),
} as const satisfies OptionTable;

/** As runc's. */
export const command = defineOciCommand({
  description: "Change the limits of a container",
  options: OPTIONS,
  usage: "ID",
  min: 1,
  max: 1,
  async run({ positionals: [id = ""], values }, globals) {
    const store = new RuntimeStore(globals.root);
    store.read(id); // that it is missing is said first
    await updateContainer(store, id, parseResources(resourcesText(values)));
    return undefined;
  },
});

function resourcesText(values: Values<typeof OPTIONS>): string {
  const { resources } = values;
  if (resources === "-") return decodeBytes(readToEnd(0, 4 << 20));
  if (resources !== undefined && resources !== "") return readFile(resources);
  const document: Record<string, Record<string, unknown>> = {};
  const set = ([group, field]: readonly [string, string], what: number | string) => {
    document[group] = { ...document[group], [field]: what };
  };
  for (const [name, path] of Object.entries(NUMBERS) as [
    keyof typeof NUMBERS,
    (typeof NUMBERS)[keyof typeof NUMBERS],
  ][]) {
    const text = values[name];
    if (text !== undefined) set(path, numberOf(name, text));
  }
  for (const name of ["cpuset-cpus", "cpuset-mems"] as const) {
    const text = values[name];
    if (text !== undefined) set(TEXTS[name], text);
  }
  return JSON.stringify(document);
}

function numberOf(name: string, text: string): number {
  if (/^-?\d+$/.test(text)) return Number(text);
  if (name.startsWith("memory")) return parseSize(text);
  throw new MydockerError(`--${name}: ${JSON.stringify(text)} is no number`);
}
