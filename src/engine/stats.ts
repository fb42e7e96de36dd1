/** `stats`: what containers use at the moment (moby: daemon/stats; docker/cli: container/stats_helpers.go). */
import { readLayout } from "../cgroups/layout.ts";
import { type Cgroup, openCgroup } from "../cgroups/manager.ts";
import { readStatistics } from "../cgroups/statistics.ts";
import type { Statistics } from "../cgroups/statistics_shape.ts";
import { SysError } from "../ffi/call.ts";
import { readFile } from "../linux/file.ts";
import type { Paths } from "../paths.ts";
import { ContainerStore } from "./container_store.ts";
import { memoryTotal } from "./info.ts";
import { type ContainerSummary, isUp, listContainers } from "./list.ts";
import { readOwner } from "./ownership.ts";

/** What a container uses; all 0 of one that does not run. */
export interface Usage {
  readonly id: string;
  readonly name: string;
  /** of one processor, over the time since the last look: 250 is two and a half of them */
  readonly cpuPercent: number;
  /** bytes, without what the kernel gives back when it is short */
  readonly memory: number;
  /** bytes; the host's memory for one without limit */
  readonly memoryLimit: number;
  /** bytes, since its start */
  readonly received: number;
  readonly sent: number;
  readonly read: number;
  readonly written: number;
  readonly pids: number;
}

/** Which containers: those that were named, or all, or all that run. */
export interface UsageChoice {
  readonly names: readonly string[];
  readonly all: boolean;
}

/** Nanoseconds of the processors, and milliseconds of a clock that nobody sets. */
interface Moment {
  readonly cpu: number;
  readonly at: number;
}

/** Looks at containers again and again: processor time is that since the last look. */
export class UsageWatch {
  readonly #paths: Paths;
  readonly #ids: readonly string[] | undefined;
  readonly #all: boolean;
  /** by id, when it was looked last */
  #last: ReadonlyMap<string, Moment> = new Map();

  /** @throws {MydockerError} when one of the names is nobody's */
  constructor(paths: Paths, { names, all }: UsageChoice) {
    this.#paths = paths;
    const store = new ContainerStore(paths);
    this.#ids = names.length === 0 ? undefined : names.map((name) => store.resolve(name));
    this.#all = all;
  }

  /** The newest first, or as they were named. */
  look(): Usage[] {
    const listed = listContainers(this.#paths);
    const byId = new Map(listed.map((each) => [each.record.id, each]));
    const chosen =
      this.#ids?.flatMap((id) => byId.get(id) ?? []) ??
      listed.filter(({ state }) => this.#all || isUp(state));
    const seen = new Map<string, Moment>();
    const layout = readLayout();
    const host = memoryTotal(readFile("/proc/meminfo"));
    const usages = chosen.map((summary): Usage => {
      const { id, name } = summary.record;
      const sample = this.#sample(summary, (path) => openCgroup(layout, path), host);
      if (sample === undefined) return { ...NOTHING, id, name };
      const { cpu, ...rest } = sample;
      const at = performance.now();
      const before = this.#last.get(id);
      seen.set(id, { cpu, at });
      const cpuPercent =
        before === undefined ? 0 : ((cpu - before.cpu) / 1e6 / (at - before.at)) * 100;
      return { id, name, cpuPercent: Math.max(0, cpuPercent), ...rest };
    });
    this.#last = seen;
    return usages;
  }

  /** @returns undefined for one that does not run, or has just ended */
  #sample({ record, state }: ContainerSummary, open: (path: string) => Cgroup, host: number) {
    const owner = isUp(state) ? readOwner(this.#paths, record.id) : undefined;
    if (owner?.process === undefined) return undefined;
    try {
      const cgroup = open(owner.cgroup);
      const statistics = readStatistics(cgroup);
      const isHost = record.networks.includes("host");
      return {
        cpu: Number(statistics.cpu.usage.total ?? 0),
        ...memoryOf(statistics, host),
        ...(isHost ? { received: 0, sent: 0 } : trafficOf(owner.process.pid)),
        ...blockTransfer(statistics, cgroup),
        pids: Number(statistics.pids.current ?? 0),
      };
    } catch (error) {
      if (error instanceof SysError) return undefined;
      throw error;
    }
  }
}

const NOTHING = {
  ...{ cpuPercent: 0, memory: 0, memoryLimit: 0, received: 0, sent: 0, read: 0, written: 0 },
  pids: 0,
};

function memoryOf({ memory }: Statistics, host: number) {
  const { limit, usage = 0 } = memory.usage;
  const raw = memory.raw ?? {};
  // With version 1 those of the cgroups below are in the first.
  const inactive = Number(raw["total_inactive_file"] ?? raw["inactive_file"] ?? 0);
  const used = Number(usage);
  const most = Number(limit);
  return {
    memory: inactive < used ? used - inactive : used,
    memoryLimit: most > 0 && most < host ? most : host,
  };
}

/** Bytes of all devices but the loopback, by proc_pid_net(5). */
function trafficOf(pid: number): { received: number; sent: number } {
  let [received, sent] = [0, 0];
  for (const line of readFile(`/proc/${pid}/net/dev`).split("\n").slice(2)) {
    const [device = "", figures] = line.split(":");
    if (figures === undefined || device.trim() === "lo") continue;
    const columns = figures.trim().split(/\s+/).map(Number);
    received += columns[0] ?? 0;
    sent += columns[8] ?? 0;
  }
  return { received, sent };
}

/** Bytes that went to and from block devices. */
function blockTransfer({ blkio }: Statistics, cgroup: Cgroup): { read: number; written: number } {
  const entries = blkio["ioServiceBytesRecursive"] ?? [];
  const sum = (operation: string) =>
    entries
      .filter(({ op }) => op?.toLowerCase() === operation)
      .reduce((total, { value }) => total + Number(value ?? 0), 0);
  const hasController = cgroup.v2Directory !== undefined || entries.length > 0;
  return hasController ? { read: sum("read"), written: sum("write") } : transferOf(cgroup.pids());
}

/**
 * Without the controller: what the processes have on their account, each with that of the children
 * that it has waited for (proc_pid_io(5)).
 */
function transferOf(pids: readonly number[]): { read: number; written: number } {
  let [read, written] = [0, 0];
  for (const pid of pids) {
    let text: string;
    try {
      text = readFile(`/proc/${pid}/io`);
    } catch (error) {
      if (error instanceof SysError) continue; // it has just ended
      throw error;
    }
    read += Number(/^read_bytes: (\d+)$/m.exec(text)?.[1] ?? 0);
    written += Number(/^write_bytes: (\d+)$/m.exec(text)?.[1] ?? 0);
  }
  return { read, written };
}
