/**
 * A container's cgroup as a scope of systemd's, which then knows of it and of its limits, as runc has it.
 */
import type { CgroupWrite, ReadCurrent } from "../cgroups/controller.ts";
import { parseCpuList } from "../cgroups/cpu_list.ts";
import { reader } from "../cgroups/directory.ts";
import type { SystemdUnit } from "../cgroups/location.ts";
import type { BeforeWrite } from "../cgroups/manager.ts";
import { MydockerError } from "../errors.ts";
import type { Value } from "../systemd/message.ts";
import { type Property, setUnit, startUnit, stopScope } from "../systemd/units.ts";

const property = (name: string, signature: string, value: Value): Property => [
  name,
  { signature, value },
];

/** What switches controllers on for it. */
const ACCOUNTING = ["CPUAccounting", "MemoryAccounting", "IOAccounting", "TasksAccounting"];

/**
 * Starts the scope with this process in it; its cgroup is there afterwards.
 * @throws {SystemdError}
 */
export function startScope({ name, slice }: SystemdUnit, id: string, pid: number): void {
  startUnit(name, [
    property("Description", "s", `container ${id}`),
    property("Slice", "s", slice),
    property("PIDs", "au", [pid]),
    property("DefaultDependencies", "b", false),
    // What is below is the container's; all controllers are handed down to it.
    property("Delegate", "b", true),
    // One that fails, as after an OOM, is forgotten too.
    property("CollectMode", "s", "inactive-or-failed"),
    ...ACCOUNTING.map((switched) => property(switched, "b", true)),
  ]);
}

/** Ends what is left of it after its cgroup. The container is gone, whatever systemd says. */
export function endScope(name: string, cgroup: string, warn: (message: string) => void): void {
  try {
    stopScope(name, cgroup);
  } catch (error) {
    if (!(error instanceof MydockerError)) throw error;
    warn(error.message);
  }
}

/**
 * Tells systemd of limits before they are written: what it does not know it sets back at the next
 * `daemon-reload`, and what it knows it writes now, rounded.
 */
export function tellLimits(name: string): BeforeWrite {
  return (directory, writes) => {
    const properties = limitProperties(writes, reader(directory));
    if (properties.length > 0) setUnit(name, properties);
  };
}

/** "No limit", and "as it was". */
const INFINITY = 2n ** 64n - 1n;

const limit = (text: string): bigint =>
  text === "max" || text.startsWith("-") ? INFINITY : BigInt(text);

/** Bit n is number n; undefined for what is no list. */
function bits(list: string): number[] | undefined {
  const numbers = list === "" ? new Set<number>() : parseCpuList(list);
  if (numbers === undefined) return undefined;
  const bytes: number[] = [];
  for (const number of numbers) {
    const at = number >> 3;
    while (bytes.length <= at) bytes.push(0);
    bytes[at] = (bytes[at] as number) | (1 << (number & 7));
  }
  return bytes;
}

/** Properties with one file each; of both versions, whose names differ but for one that means the same. */
const LIMITS: Readonly<Record<string, string>> = {
  "memory.max": "MemoryMax",
  "memory.high": "MemoryHigh",
  "memory.low": "MemoryLow",
  "memory.min": "MemoryMin",
  "memory.swap.max": "MemorySwapMax",
  "memory.limit_in_bytes": "MemoryLimit",
  "pids.max": "TasksMax",
  "cpu.weight": "CPUWeight",
  "cpu.shares": "CPUShares",
  "io.weight": "IOWeight",
  "blkio.weight": "BlockIOWeight",
};

const LISTS: Readonly<Record<string, string>> = {
  "cpuset.cpus": "AllowedCPUs",
  "cpuset.mems": "AllowedMemoryNodes",
};

const QUOTA_FILES = ["cpu.max", "cpu.cfs_quota_us", "cpu.cfs_period_us"];

/**
 * What systemd calls these limits. What it has no name for, it leaves alone.
 * @param read for what is limited together with something that these leave as it is
 */
export function limitProperties(writes: readonly CgroupWrite[], read: ReadCurrent): Property[] {
  const properties: Property[] = [];
  for (const { file, value } of writes) {
    const text = value.trim();
    const [name, list] = [LIMITS[file], LISTS[file]];
    if (name !== undefined && /^(max|-?\d+)$/.test(text))
      properties.push(property(name, "t", limit(text)));
    const set = list === undefined ? undefined : bits(text);
    if (list !== undefined && set !== undefined) properties.push(property(list, "ay", set));
  }
  if (writes.some(({ file }) => QUOTA_FILES.includes(file)))
    properties.push(...quotaProperties(writes, read));
  return properties;
}

function quotaProperties(writes: readonly CgroupWrite[], read: ReadCurrent): Property[] {
  const value = (file: string) =>
    writes.findLast((write) => write.file === file)?.value ?? read(file);
  const v2 = value("cpu.max")?.split(" ");
  const quota = v2?.[0] ?? value("cpu.cfs_quota_us") ?? "max";
  const period = v2?.[1] ?? value("cpu.cfs_period_us") ?? read("cpu.max")?.split(" ")[1];
  const microseconds = Number(period ?? 100_000);
  const isLimited = /^\d+$/.test(quota) && microseconds > 0;
  // systemd writes down whole per cents: less than was asked for would be too little.
  const perSecond = isLimited
    ? BigInt(Math.ceil((Number(quota) * 100) / microseconds)) * 10_000n
    : INFINITY;
  return [
    property("CPUQuotaPerSecUSec", "t", perSecond),
    property("CPUQuotaPeriodUSec", "t", BigInt(microseconds)),
  ];
}
