/** Many runs, of all kinds: afterwards nothing more is there than before. */

import { expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { leavesNothingBehind, useEngine } from "../helpers/cli.ts";

const engine = useEngine();

/** What of the kernel grows with leaked namespaces, mounts and cgroups, zombies included. */
function kernelCounts(): Record<string, number> {
  const cgroups = readFileSync("/proc/cgroups", "utf8").trim().split("\n").slice(1);
  return {
    mounts: readFileSync("/proc/self/mountinfo", "utf8").split("\n").length,
    cgroups: cgroups.reduce((sum, line) => sum + Number(line.split("\t")[2]), 0),
    terminals: readdirSync("/dev/pts").length,
    descriptors: readdirSync("/proc/self/fd").length,
  };
}

test("60 runs that succeed, fail and are killed", async () => {
  await engine.run(["busybox", "true"]);
  const before = kernelCounts();
  for (let i = 0; i < 20; i++) {
    expect(
      (
        await engine.run([
          "-m",
          "64m",
          "--pids-limit",
          "50",
          "--tmpfs",
          "/t",
          "busybox",
          "sh",
          "-c",
          "sleep 100 & echo x >/x",
        ])
      ).exitCode,
    ).toBe(0);
    expect((await engine.run(["busybox", "no-such-command"])).exitCode).toBe(127);
    expect((await engine.run(["--cpuset-cpus", "999", "busybox", "true"])).exitCode).toBe(125);
  }
  const after = kernelCounts();
  // Others may be at work on this machine: a leak would be one for each run.
  for (const [what, count] of Object.entries(after)) {
    expect([what, count - (before[what] as number) < 15]).toEqual([what, true]);
  }
});

leavesNothingBehind(engine);
