/** What containers use as the fields that `stats` shows (docker/cli: container/formatter_stats.go). */
import type { Usage } from "../engine/stats.ts";
import { humanBinarySize, humanSize } from "./human.ts";

/** What the table calls each field. */
export const STATS_HEADINGS = {
  BlockIO: "BLOCK I/O",
  CPUPerc: "CPU %",
  Container: "CONTAINER",
  ID: "CONTAINER ID",
  MemPerc: "MEM %",
  MemUsage: "MEM USAGE / LIMIT",
  Name: "NAME",
  NetIO: "NET I/O",
  PIDs: "PIDS",
} as const;

/** The usual table. */
export const STATS_FORMAT =
  "table {{.ID}}\t{{.Name}}\t{{.CPUPerc}}\t{{.MemUsage}}\t{{.MemPerc}}\t{{.NetIO}}\t{{.BlockIO}}\t{{.PIDs}}";

/** @param whole ids are not shortened */
export function statsRow(
  usage: Usage,
  whole: boolean,
): Readonly<Record<keyof typeof STATS_HEADINGS, string>> {
  const { cpuPercent, id, memory, memoryLimit, name, pids, received, sent, read, written } = usage;
  const shown = whole ? id : id.slice(0, 12);
  const share = memoryLimit === 0 ? 0 : (memory / memoryLimit) * 100;
  return {
    BlockIO: `${humanSize(read)} / ${humanSize(written)}`,
    CPUPerc: `${cpuPercent.toFixed(2)}%`,
    Container: shown,
    ID: shown,
    MemPerc: `${share.toFixed(2)}%`,
    MemUsage: `${humanBinarySize(memory)} / ${humanBinarySize(memoryLimit)}`,
    Name: name,
    NetIO: `${humanSize(received)} / ${humanSize(sent)}`,
    PIDs: String(pids),
  };
}
