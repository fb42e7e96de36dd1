/** SIGKILL at any moment: the next command finds what is dead, and cleans up. */

import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { leavesNothingBehind, useEngine } from "../helpers/cli.ts";
import { findLeaks, takeSnapshot } from "../helpers/leaks.ts";
import { program, testIf } from "../helpers/requires.ts";
import { onTerminal } from "../helpers/terminal.ts";
import { waitFor } from "../helpers/wait.ts";

const engine = useEngine();

/** After a kill and one further command the machine is as before. */
async function cleansUp(before: ReturnType<typeof takeSnapshot>, where: string): Promise<void> {
  const { exitCode, out, err } = await engine.call(["ps", "-aq"]);
  expect([where, exitCode, out, err]).toEqual([where, 0, "", ""]);
  const leaks = () => findLeaks(before, takeSnapshot(engine));
  // Killed processes take a moment to be gone.
  await waitFor(
    () => `${where}: no leaks; left: ${leaks().join("\n")}`,
    () => leaks().length === 0,
    3000,
  );
}

describe("killed", () => {
  test("at random moments of its start and its run", async () => {
    const before = takeSnapshot(engine);
    for (let i = 0; i < 25; i++) {
      const delay = i * 2;
      const running = engine.start([
        "run",
        "--rm",
        "-i",
        "--name",
        "same",
        "-m",
        "64m",
        "-v",
        `${engine.directory("v")}:/v`,
        "busybox",
        "sh",
        "-c",
        "echo x >/x; sleep 1000",
      ]);
      await Bun.sleep(delay);
      running.kill("SIGKILL");
      await running.end();
      await cleansUp(before, `after ${delay} ms`);
    }
  });

  test("while its container ends", async () => {
    const before = takeSnapshot(engine);
    for (let i = 0; i < 15; i++) {
      const running = engine.start([
        "run",
        "--rm",
        "-i",
        "busybox",
        "sh",
        "-c",
        "echo ready; read x",
      ]);
      await running.waitForOutput(/ready/);
      running.stdin.write("\n");
      await running.stdin.flush();
      await Bun.sleep(i % 8);
      running.kill("SIGKILL");
      await running.end();
      await cleansUp(before, `at its end, ${i % 8} ms later`);
    }
  });

  test("on a terminal", async () => {
    const before = takeSnapshot(engine);
    for (const delay of [5, 15, 25, 60]) {
      const session = onTerminal(engine, ["run", "--rm", "-it", "busybox", "sh"]);
      await Bun.sleep(delay);
      session.kill("SIGKILL");
      await session.end();
      session.close();
      await cleansUp(before, `on a terminal after ${delay} ms`);
    }
  });

  // Calls that change something, and those that wait for init.
  const CALLS =
    "mkdir mkdirat symlink symlinkat rename renameat renameat2 unlink unlinkat rmdir clone mount umount2 " +
    "move_mount open_tree mount_setattr fsopen fsconfig fsmount pivot_root ftruncate pwrite64 " +
    "sendmsg recvmsg pipe2 socketpair setsid waitid";
  // The question mark lets strace go on where an architecture has no such call.
  const SET = CALLS.split(" ")
    .map((call) => `?${call}`)
    .join(",");
  const COMMAND = '"$MYDOCKER" run --rm busybox echo ran';

  /** How often a run makes each call: in one of its processes, whichever makes it most often. */
  async function countCalls(...options: string[]): Promise<Map<string, number>> {
    const trace = join(engine.directory("trace"), "trace");
    const { exitCode } = await engine.bash(
      `exec strace "$@" -qq -o '${trace}' -e trace='${SET}' ${COMMAND}`,
      { args: options },
    );
    expect(exitCode).toBe(0);
    const counts = new Map<string, Map<string, number>>();
    for (const line of readFileSync(trace, "latin1").split("\n")) {
      const [, pid = "", call] = /^(\d+ +)?([a-z_0-9]+)\(/.exec(line) ?? [];
      if (call === undefined) continue;
      const each = counts.get(call) ?? new Map<string, number>();
      counts.set(call, each.set(pid, (each.get(pid) ?? 0) + 1));
    }
    return new Map([...counts].map(([call, each]) => [call, Math.max(...each.values())]));
  }

  /** Kills a run at each of its calls, and looks at what is left each time. */
  async function killEverywhere(minimum: number, ...options: string[]): Promise<void> {
    const before = takeSnapshot(engine);
    let killed = 0;
    for (const [call, count] of await countCalls(...options)) {
      for (let when = 1; when <= count; when++) {
        const { exitCode } = await engine.bash(
          `exec strace "$@" -qq -o /dev/null -e trace=${call} -e inject=${call}:signal=SIGKILL:when=${when} ${COMMAND}`,
          { args: options },
        );
        if (exitCode !== 0) killed++;
        await cleansUp(before, `at ${call} number ${when}`);
      }
    }
    expect(killed).toBeGreaterThan(minimum);
  }

  testIf(
    [program("strace")],
    "at each call that changes something",
    () => killEverywhere(30),
    120_000,
  );

  testIf(
    [program("strace")],
    "at each such call of it or of init, whichever makes it first",
    () => killEverywhere(60, "-f"),
    120_000,
  );
});

test("a container without --rm is told as lost, and can be removed", async () => {
  const running = engine.start([
    "run",
    "--name",
    "lost",
    "busybox",
    "sh",
    "-c",
    "echo ready; sleep 1000",
  ]);
  await running.waitForOutput(/ready/);
  running.kill("SIGKILL");
  await running.end();
  const { out } = await engine.call(["ps", "-a", "--format", "{{.Names}} {{.Status}}"]);
  expect(out).toMatch(/^lost Exited \(137\)/);
  expect((await engine.call(["run", "--name", "lost", "busybox", "true"])).exitCode).toBe(125);
  expect((await engine.call(["rm", "lost"])).exitCode).toBe(0);
});

test("the next run works at once, and another container is not harmed", async () => {
  const other = engine.start([
    "run",
    "--rm",
    "-i",
    "busybox",
    "sh",
    "-c",
    "echo ready; read x; echo still $x",
  ]);
  await other.waitForOutput(/ready/);
  for (let i = 0; i < 5; i++) {
    const running = engine.start(["run", "--rm", "busybox", "sh", "-c", "echo ready; sleep 1000"]);
    await running.waitForOutput(/ready/);
    running.kill("SIGKILL");
    expect((await engine.run(["busybox", "echo", "next"])).out).toBe("next");
    await running.end();
  }
  other.stdin.write("here\n");
  expect((await other.end()).out).toBe("ready\nstill here");
});

leavesNothingBehind(engine);
