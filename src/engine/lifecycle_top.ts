/** `top`: the processes of a container, as ps(1) of the host shows them. */
import { MydockerError } from "../errors.ts";
import type { Paths } from "../paths.ts";
import { recordContainerEvent } from "./events.ts";
import { findContainer, RunningProcess, recordOf } from "./lifecycle_process.ts";

/** What ps(1) printed of a container's processes, by column. */
export interface ProcessTable {
  readonly titles: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

/** @param options of ps(1); `-ef` when there are none */
export function containerProcesses(
  paths: Paths,
  reference: string,
  options: readonly string[],
): ProcessTable {
  const found = findContainer(paths, reference);
  using process = RunningProcess.of(found);
  if (process === undefined) throw new MydockerError(`container ${found.id} is not running`);
  const pids = new Set(process.cgroup.pids().map(String));
  const args = options.length === 0 ? ["-ef"] : [...options];
  let result: { stdout: Buffer; stderr: Buffer; success: boolean };
  try {
    // Without a terminal, as a daemon has none: ps shows those of its own terminal unless told otherwise.
    result = Bun.spawnSync(["ps", ...args], { detached: true, stdin: "ignore" });
  } catch (cause) {
    throw new MydockerError("ps(1) of the host cannot be started", { cause });
  }
  if (!result.success) throw new MydockerError(`ps: ${result.stderr.toString().trim()}`);
  const [heading = "", ...lines] = result.stdout.toString().trimEnd().split("\n");
  const titles = heading.trim().split(/\s+/);
  const column = titles.indexOf("PID");
  if (column < 0) throw new MydockerError("Couldn't find PID field in ps output");
  const rows = lines
    .map((line) => fields(line, titles.length))
    .filter((row) => pids.has(row[column] ?? ""));
  recordContainerEvent(paths, recordOf(found), "top");
  return { titles, rows };
}

/** The last column is the command with its spaces. */
function fields(line: string, count: number): string[] {
  const words = line.trim().split(/\s+/);
  return words.length <= count
    ? words
    : [...words.slice(0, count - 1), words.slice(count - 1).join(" ")];
}
