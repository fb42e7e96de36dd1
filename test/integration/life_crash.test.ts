/** SIGKILL to commands and monitors of containers in the background: what is left is told truly, and can be removed. */

import { describe, expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { leavesNothingBehind, useEngine } from "../helpers/cli.ts";
import { findLeaks, readStat, takeSnapshot } from "../helpers/leaks.ts";
import { waitFor } from "../helpers/wait.ts";

const engine = useEngine();

async function ok(...args: string[]): Promise<string> {
  const { exitCode, out, err } = await engine.call(args);
  expect([args.join(" "), exitCode, err]).toEqual([args.join(" "), 0, ""]);
  return out;
}

const pidOf = async (name: string): Promise<number> =>
  Number(await ok("inspect", "-f", "{{.State.Pid}}", name));
const monitorOf = async (name: string): Promise<number> => readStat(await pidOf(name))?.parent ?? 0;
const statusOf = async (name: string): Promise<string> =>
  await ok("inspect", "-f", "{{.State.Status}} {{.State.ExitCode}}", name);

const isGone = (pid: number): boolean => ["Z", undefined].includes(readStat(pid)?.state);

/** SIGKILL, and waits for the end: that of the first of its threads is not that of all. */
async function kill(pid: number): Promise<void> {
  process.kill(pid, "SIGKILL");
  await waitFor("killed", () => isGone(pid));
  await waitFor("all its threads are gone", () => readThreads(pid) <= 1);
}

/** How many threads of a process are there still, the one that is waited for included. */
function readThreads(pid: number): number {
  try {
    return readdirSync(`/proc/${pid}/task`).length;
  } catch {
    return 0;
  }
}

/** Removes every container, and sees to it that the machine is as before. */
async function removesAll(before: ReturnType<typeof takeSnapshot>, where: string): Promise<void> {
  const listed = await engine.call(["ps", "-aq"]);
  expect([where, listed.exitCode, listed.err]).toEqual([where, 0, ""]);
  const ids = listed.out.split("\n").filter(Boolean);
  if (ids.length > 0) {
    const removed = await engine.call(["rm", "-f", ...ids]);
    expect([where, removed.exitCode, removed.err]).toEqual([where, 0, ""]);
  }
  const leaks = () => findLeaks(before, takeSnapshot(engine));
  await waitFor(
    () => `${where}: no leaks; left: ${leaks().join("\n")}`,
    () => leaks().length === 0,
    5000,
  );
}

describe("a monitor that is killed", () => {
  test("takes its container with it, and everybody says so", async () => {
    await ok("run", "-d", "--name", "lost", "busybox", "sh", "-c", "echo wrote; sleep 1000");
    await waitFor("output", async () => (await ok("logs", "lost")) === "wrote");
    const [pid, monitor] = [await pidOf("lost"), await monitorOf("lost")];
    const waiting = engine.start(["wait", "lost"]);
    const following = engine.start(["logs", "-f", "lost"]);
    await following.waitForOutput(/wrote/);
    await kill(monitor);
    expect((await waiting.end()).out).toBe("137");
    expect((await following.end()).out).toBe("wrote");
    expect(await statusOf("lost")).toBe("exited 137");
    expect(isGone(pid)).toBe(true);
    expect(await ok("logs", "lost")).toBe("wrote");
    expect(await ok("stop", "lost")).toBe("lost");
    expect(await ok("ps", "-q")).toBe("");
  });

  test("can be followed by another one: the container starts again", async () => {
    expect(await ok("start", "lost")).toBe("lost");
    expect(await statusOf("lost")).toBe("running 0");
    expect(await ok("rm", "-f", "lost")).toBe("lost");
  });

  test("with --rm leaves nothing", async () => {
    const before = takeSnapshot(engine);
    await ok("run", "-d", "--rm", "--name", "gone", "busybox", "sleep", "1000");
    await kill(await monitorOf("gone"));
    expect(await ok("ps", "-aq")).toBe("");
    await removesAll(before, "--rm");
  });

  test("and one that is stopped by SIGSTOP is ended by rm -f", async () => {
    await ok("run", "-d", "--name", "stuck", "busybox", "sleep", "1000");
    process.kill(await monitorOf("stuck"), "SIGSTOP");
    expect(await ok("rm", "-f", "stuck")).toBe("stuck");
    expect(await ok("ps", "-aq")).toBe("");
  });
});

test("the command that starts a container is killed at any time: the container runs, or there is none", async () => {
  const before = takeSnapshot(engine);
  for (let delay = 0; delay < 60; delay += 3) {
    const running = engine.start(["run", "-d", "--name", "orphan", "busybox", "sleep", "1000"]);
    await Bun.sleep(delay);
    running.kill("SIGKILL");
    await running.end();
    await Bun.sleep(100);
    const { out } = await engine.call(["ps", "-a", "--format", "{{.State}}"]);
    expect(["", "running"]).toContain(out);
    await removesAll(before, `after ${delay} ms`);
  }
});

leavesNothingBehind(engine);
