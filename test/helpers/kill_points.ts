/** System calls at which a command is killed (strace(1), "inject"). */
import { expect } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Engine, Result } from "./cli.ts";

/** Which points are tried; others with another number. */
export const SEED = Number(process.env["MYDOCKER_KILL_SEED"] ?? 699026);
/** How many of each command, or `all`. */
export const POINTS = process.env["MYDOCKER_KILL_POINTS"];

/** Numbers from 0 to 1 that follow from the seed (mulberry32). */
export function randomNumbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
/** Calls that change something, and those that wait for others. */
const CHANGES = new Set(
  (
    "mkdir mkdirat symlink symlinkat rename renameat renameat2 unlink unlinkat rmdir write pwrite64 " +
    "ftruncate fsync fdatasync flock fcntl clone clone3 vfork fork execve mount umount2 move_mount " +
    "open_tree mount_setattr fsopen fsconfig fsmount pivot_root sendmsg recvmsg sendto recvfrom pipe2 " +
    "socketpair bind listen accept4 connect waitid wait4 setsid pidfd_send_signal kill poll setns unshare"
  ).split(" "),
);

/** A call, and which of a process' calls of that name. */
export interface Point {
  readonly call: string;
  readonly when: number;
}

/** Every point of a command, of whichever of its processes makes the call most often. */
export async function pointsOf(engine: Engine, args: readonly string[]): Promise<Point[]> {
  const trace = join(engine.directory("trace"), "trace");
  const { exitCode, err } = await strace(engine, ["-o", trace], args);
  expect([exitCode, err]).toEqual([0, ""]);
  const counts = new Map<string, Map<string, number>>();
  for (const line of readFileSync(trace, "latin1").split("\n")) {
    const [, pid = "", call] = /^(\d+ +)?([a-z_0-9]+)\(/.exec(line) ?? [];
    if (call === undefined || call === "exit_group" || call === "exit") continue;
    const each = counts.get(call) ?? new Map<string, number>();
    counts.set(call, each.set(pid, (each.get(pid) ?? 0) + 1));
  }
  return [...counts].flatMap(([call, each]) =>
    Array.from({ length: Math.max(...each.values()) }, (_, index) => ({ call, when: index + 1 })),
  );
}

/** A command that is killed at a point. */
export const killedAt = (
  engine: Engine,
  { call, when }: Point,
  args: readonly string[],
): Promise<Result> =>
  strace(
    engine,
    ["-o", "/dev/null", "-e", `trace=${call}`, "-e", `inject=${call}:signal=SIGKILL:when=${when}`],
    args,
  );

const strace = (engine: Engine, options: readonly string[], args: readonly string[]) =>
  engine.bash('exec strace -f -qq "$@"', {
    args: [...options, engine.env["MYDOCKER"] ?? "", ...args],
  });

/** Some of them: half among those that change something. @param usual how many, unless MYDOCKER_KILL_POINTS says it */
export function choose(
  points: readonly Point[],
  random: () => number,
  usual: number,
): readonly Point[] {
  if (POINTS === "all") return points;
  const count = Number(POINTS ?? usual);
  const changes = points.filter(({ call }) => CHANGES.has(call));
  return Array.from({ length: count }, (_, index) => {
    const from = index % 2 === 0 ? changes : points;
    return from[Math.floor(random() * from.length)] as Point;
  });
}
