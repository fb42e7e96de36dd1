/** The table of options that limit how a container uses block devices, and memory beyond its size. */

import type { ResourceRequest } from "../engine/run_options.ts";
import { UsageError } from "../errors.ts";
import type { ParsedCommandLine } from "./argv.ts";
import { defined } from "./defined.ts";
import type { OptionTable } from "./option_table.ts";
import {
  parseDeviceBytes,
  parseDeviceOperations,
  parseDeviceWeight,
  parseWeight,
} from "./values/device_rate.ts";
import { parseInteger } from "./values/number.ts";

const bytes = (what: string) =>
  ({
    type: "list",
    value: "device:rate",
    description: `Limit of bytes ${what} a second, such as /dev/sda:1mb`,
    parse: parseDeviceBytes,
    complete: "file",
  }) as const;

const operations = (what: string) =>
  ({
    type: "list",
    value: "device:count",
    description: `Limit of ${what} a second, such as /dev/sda:1000`,
    parse: parseDeviceOperations,
    complete: "file",
  }) as const;

/** Docker's options. */
export const IO_OPTIONS = {
  "blkio-weight": {
    type: "value",
    value: "weight",
    description: "Share of the time of block devices, 10 to 1000",
    parse: parseWeight,
  },
  "blkio-weight-device": {
    type: "list",
    value: "device:weight",
    description: "The same of one device",
    parse: parseDeviceWeight,
    complete: "file",
  },
  "device-read-bps": bytes("read"),
  "device-read-iops": operations("reads"),
  "device-write-bps": bytes("written"),
  "device-write-iops": operations("writes"),
  "memory-swappiness": {
    type: "value",
    value: "0-100",
    description: "How readily its memory is swapped out, with cgroup v1",
    parse: parseSwappiness,
  },
  "oom-kill-disable": {
    type: "boolean",
    description: "Let it wait for memory beyond its limit, instead of killing it, with cgroup v1",
  },
} as const satisfies OptionTable;

/** -1 leaves it to the kernel. */
function parseSwappiness(text: string): number {
  const value = parseInteger(text);
  if (value < -1 || value > 100)
    throw new UsageError(`Invalid value: ${value}, valid memory swappiness range is 0-100`);
  return value;
}

/** What of it was said. */
export function composeIo(
  values: ParsedCommandLine<typeof IO_OPTIONS>["values"],
): Partial<ResourceRequest> {
  const list = <T>(said: readonly T[]) => (said.length === 0 ? undefined : said);
  const swappiness = values["memory-swappiness"];
  return defined({
    blkioWeight: values["blkio-weight"] || undefined,
    blkioWeightDevice: list(values["blkio-weight-device"]),
    deviceReadBps: list(values["device-read-bps"]),
    deviceReadIops: list(values["device-read-iops"]),
    deviceWriteBps: list(values["device-write-bps"]),
    deviceWriteIops: list(values["device-write-iops"]),
    memorySwappiness: swappiness === -1 ? undefined : swappiness,
    oomKillDisable: values["oom-kill-disable"] || undefined,
  });
}
