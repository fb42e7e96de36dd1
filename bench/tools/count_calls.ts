/** `count_calls.ts EXECUTABLE`: how many kernel calls one run takes, with nothing but Bun and strace around it. */

import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ownCalls } from "../../test/helpers/own_calls.ts";

/** Calls that wait, and of which there are more the longer it takes. */
const WAITING = /^(futex|poll|clock_nanosleep|restart_syscall|sched_yield)$/;

/** Calls of one run of a container. */
export interface CallCounts {
  /** of mydocker's own code, those that look whether its threads rest left out */
  readonly own: number;
  /** of all processes, the JavaScript runtime's and the command's too, those that wait left out */
  readonly all: number;
}

/** Counts with state directories of its own. */
export function countCalls(executable: string): CallCounts {
  const folder = mkdtempSync(join(tmpdir(), "mydocker-calls-"));
  try {
    const env = { MYDOCKER_ROOT: join(folder, "root"), MYDOCKER_RUN: join(folder, "run") };
    ownCalls(executable, env); // unpacks the image
    const own = ownCalls(executable, env);
    const counts = Array.from({ length: 3 }, () => allCalls(executable, env, join(folder, "all")));
    return { own, all: Math.min(...counts) };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** By the table of `strace -c`: % time, seconds, usecs/call, calls, errors if any, name. */
function allCalls(executable: string, env: Record<string, string>, table: string): number {
  const run = [executable, "run", "--rm", "--network", "none", "busybox", "true"];
  const { exitCode, stderr } = Bun.spawnSync(["strace", "-f", "-c", "-o", table, ...run], { env });
  if (exitCode !== 0) throw new Error(`strace: ${stderr.toString().slice(-500)}`);
  let count = 0;
  for (const line of readFileSync(table, "utf8").split("\n")) {
    const [, calls, name] =
      /^\s*[\d.]+\s+[\d.]+\s+\d+\s+(\d+)\s+(?:\d+\s+)?(\w+)$/.exec(line) ?? [];
    if (name !== undefined && name !== "total" && !WAITING.test(name)) count += Number(calls);
  }
  return count;
}

if (import.meta.main) console.log(JSON.stringify(countCalls(process.argv[2] as string)));
