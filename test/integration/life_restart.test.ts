/** Restart policies: who is started again, when, and what everybody says and does meanwhile. */

import { describe, expect, test } from "bun:test";
import { readdirSync, renameSync } from "node:fs";
import { join } from "node:path";
import { leavesNothingBehind, useEngine } from "../helpers/cli.ts";
import { descendants, readStat } from "../helpers/leaks.ts";
import { waitFor } from "../helpers/wait.ts";

const engine = useEngine();

async function ok(...args: string[]): Promise<string> {
  const { exitCode, out, err } = await engine.call(args);
  expect([args.join(" "), exitCode, err]).toEqual([args.join(" "), 0, ""]);
  return out;
}

const field = (name: string, template: string): Promise<string> =>
  ok("inspect", "-f", `{{${template}}}`, name);
const statusOf = (name: string): Promise<string> => field(name, ".State.Status");

/** A container that fails again and again, and has done so for a while. */
async function failing(name: string, ...options: string[]): Promise<void> {
  const command = ["busybox", "sh", "-c", "echo ran; exit 3"];
  await ok("run", "-d", "--restart", "always", "--name", name, ...options, ...command);
  await waitFor(
    "it has failed four times",
    async () => (await field(name, ".RestartCount}} {{.State.Status")) === "4 restarting",
    5000,
  );
}

const lines = async (name: string): Promise<number> => (await ok("logs", name)).split("\n").length;

describe("always", () => {
  test("starts it again when it ends, later each time, and everybody says so", async () => {
    await failing("again");
    expect(await lines("again")).toBe(4);
    expect(JSON.parse(await field("again", "json .HostConfig.RestartPolicy"))).toEqual({
      Name: "always",
      MaximumRetryCount: 0,
    });
    expect(JSON.parse(await field("again", "json .State"))).toMatchObject({
      Status: "restarting",
      Running: true,
      Restarting: true,
      Paused: false,
      Pid: 0,
      ExitCode: 3,
    });
    // Not only with -a.
    const shown = await ok("ps", "--format", "{{.Names}} {{.State}} {{.Status}}");
    expect(shown).toMatch(/^again restarting Restarting \(3\) (Less than a second|1 second) ago$/);
  });

  test("while it waits, other commands say what it does", async () => {
    const id = await field("again", ".Id");
    const waits = "is restarting, wait until the container is running";
    for (const [args, why] of [
      [["rm", "again"], 'cannot remove container "/again": container is restarting'],
      [["exec", "again", "true"], `Container ${id} ${waits}`],
      [["pause", "again"], `Container ${id} ${waits}`],
      [["attach", "again"], "You cannot attach to a restarting container"],
    ] as const) {
      const { exitCode, err } = await engine.call([...args]);
      expect([exitCode, err]).toEqual([1, expect.stringContaining(why)]);
    }
  });

  test("stop ends the wait: it stays stopped, with the code that it ended with", async () => {
    expect(await ok("stop", "again")).toBe("again");
    expect(await field("again", ".State.Status}} {{.State.ExitCode}} {{.RestartCount")).toMatch(
      /^exited 3 [45]$/,
    );
    const before = await lines("again");
    await Bun.sleep(300);
    expect(await lines("again")).toBe(before);
    expect(await statusOf("again")).toBe("exited");
    await ok("rm", "again");
  });

  test("kill does so as well, and rm -f removes it", async () => {
    await failing("killed");
    expect(await ok("kill", "killed")).toBe("killed");
    expect(await statusOf("killed")).toBe("exited");
    await ok("rm", "killed");
    await failing("removed");
    expect(await ok("rm", "-f", "removed")).toBe("removed");
    expect(await ok("ps", "-aq")).toBe("");
  });

  test("start starts it at once, and the count from the beginning", async () => {
    const gate = engine.directory("gate");
    const script = "[ -e /gate/open ] && exec sleep 1000; exit 3";
    const volume = ["-v", `${gate}:/gate`];
    await ok(
      "run",
      "-d",
      "--restart=always",
      "--name",
      "now",
      ...volume,
      "busybox",
      "sh",
      "-c",
      script,
    );
    await waitFor(
      "it waits for long",
      async () => (await field("now", ".RestartCount}} {{.State.Status")) === "5 restarting",
      8000,
    );
    await Bun.write(join(gate, "open"), "");
    expect(await ok("start", "now")).toBe("now");
    expect(await field("now", ".State.Status}} {{.RestartCount")).toBe("running 0");
    await ok("rm", "-f", "now");
  });

  test("a wait that begins meanwhile ends with the next run", async () => {
    await failing("waited");
    expect(await ok("wait", "waited")).toBe("3");
    // Or with the run whose end its monitor was still telling.
    expect([4, 5]).toContain(await lines("waited"));
    await ok("rm", "-f", "waited");
  });

  test("its monitor is the same process, and holds no more than before", async () => {
    await ok(
      "run",
      "-d",
      "--restart=always",
      "--name",
      "same",
      "busybox",
      "sh",
      "-c",
      "sleep 1000; true",
    );
    const monitor = async () => readStat(Number(await field("same", ".State.Pid")))?.parent ?? 0;
    const first = await monitor();
    const held = readdirSync(`/proc/${first}/fd`).length;
    for (let count = 1; count <= 3; count++) {
      const pid = Number(await field("same", ".State.Pid"));
      expect(pid).toBeGreaterThan(1); // 0 would be this test itself
      process.kill(pid, "SIGKILL");
      await waitFor(
        "started again",
        async () => (await field("same", ".State.Status}} {{.RestartCount")) === `running ${count}`,
      );
    }
    expect(await monitor()).toBe(first);
    // It is just starting it, and may have been about to close its socket to who started it then.
    const holds = () => readdirSync(`/proc/${first}/fd`).length;
    await waitFor(`no more than ${held} descriptors`, () => holds() <= held);
    await ok("rm", "-f", "same");
  });

  test("a new name stays, and what was written before", async () => {
    await ok(
      "run",
      "-d",
      "--restart=always",
      "--name",
      "old",
      "busybox",
      "sh",
      "-c",
      "echo $HOSTNAME >>/all; sleep 0.2",
    );
    await ok("rename", "old", "new");
    await waitFor("again", async () => Number(await field("new", ".RestartCount")) >= 2);
    await ok("stop", "new");
    expect(await ok("ps", "-a", "--format", "{{.Names}}")).toBe("new");
    await ok("rm", "new");
  });
});

describe("on-failure", () => {
  test("so many times at most, and the count is on record", async () => {
    await ok(
      "run",
      "-d",
      "--restart",
      "on-failure:2",
      "--name",
      "twice",
      "busybox",
      "sh",
      "-c",
      "echo ran; exit 3",
    );
    await waitFor("given up", async () => (await statusOf("twice")) === "exited");
    expect(await lines("twice")).toBe(3);
    expect(await field("twice", ".State.ExitCode}} {{.RestartCount")).toBe("3 2");
    expect(await ok("start", "twice")).toBe("twice");
    await waitFor("given up", async () => (await statusOf("twice")) === "exited");
    expect(await lines("twice")).toBe(6);
    await ok("rm", "twice");
  });

  test("not after a success", async () => {
    await ok("run", "-d", "--restart", "on-failure", "--name", "fine", "busybox", "echo", "ran");
    await ok("wait", "fine");
    await Bun.sleep(200);
    expect(await field("fine", ".State.Status}} {{.RestartCount")).toBe("exited 0");
    await ok("rm", "fine");
  });
});

describe("whoever stops it wants it stopped", () => {
  const handlers = `trap "exit 1" TERM; trap "echo hup" HUP; trap "exit 2" USR1; echo ready; while :; do sleep 0.02; done`;
  const run = async (name: string) => {
    await ok(
      "run",
      "-d",
      "--restart=unless-stopped",
      "--name",
      name,
      "busybox",
      "sh",
      "-c",
      handlers,
    );
    await waitFor("ready", async () => (await ok("logs", name)).startsWith("ready"));
  };

  test.each(["stop", "kill", "kill -s TERM"])("%s", async (words) => {
    await run("told");
    await ok(...words.split(" "), "told");
    await waitFor("ended", async () => (await statusOf("told")) === "exited");
    await Bun.sleep(250);
    expect(await field("told", ".State.Status}} {{.RestartCount")).toBe("exited 0");
    await ok("rm", "told");
  });

  test("but a signal that asks for something else is no stop", async () => {
    await run("hup");
    await ok("kill", "-s", "HUP", "hup");
    await ok("kill", "-s", "USR1", "hup");
    await waitFor("started again", async () => (await field("hup", ".RestartCount")) === "1");
    await ok("restart", "-t", "0", "hup");
    expect(await field("hup", ".State.Status}} {{.RestartCount")).toBe("running 0");
    await ok("rm", "-f", "hup");
  });
});

describe("run in the foreground", () => {
  test("ends with its first end, and the container goes on", async () => {
    const command = ["busybox", "sh", "-c", "[ -e /ran ] || cat; >/ran; echo err >&2; exit 5"];
    const { exitCode, out, err } = await engine.call(
      ["run", "-i", "--restart", "always", "--name", "goes-on", ...command],
      { stdin: "typed" },
    );
    expect([exitCode, out, err]).toEqual([5, "typed", "err"]);
    await waitFor("again", async () => Number(await field("goes-on", ".RestartCount")) > 1);
    await ok("rm", "-f", "goes-on");
  });

  test("and it does not end with its caller", async () => {
    const running = engine.start([
      "run",
      "--restart",
      "always",
      "--name",
      "stays",
      "busybox",
      "sh",
      "-c",
      "echo ready; sleep 1000",
    ]);
    await running.waitForOutput(/ready/);
    running.kill("SIGKILL");
    await running.end();
    expect(await statusOf("stays")).toBe("running");
    await ok("rm", "-f", "stays");
  });
});

test("one that cannot be started again ends, and says why", async () => {
  const source = engine.directory("source");
  const mount = ["--mount", `type=bind,src=${source},dst=/m`];
  await ok(
    "run",
    "-d",
    "--restart=always",
    "--name",
    "cannot",
    ...mount,
    "busybox",
    "sleep",
    "0.3",
  );
  renameSync(source, `${source}-moved`);
  await waitFor("it has ended", async () => (await statusOf("cannot")) === "exited");
  expect(await field("cannot", ".State.ExitCode}} {{.State.Error")).toMatch(/^125 .*source/);
  renameSync(`${source}-moved`, source);
  expect(await ok("start", "cannot")).toBe("cannot");
  expect(await field("cannot", ".State.Status}}{{.State.Error")).toBe("running");
  await ok("rm", "-f", "cannot");
});

test("a monitor that is killed while it waits: it has ended as it has, and can be started", async () => {
  const before = new Set(descendants(process.pid));
  await failing("orphan");
  const [monitor] = descendants(process.pid).filter((each) => !before.has(each));
  process.kill(Number(monitor?.split(" ")[0]), "SIGKILL");
  await waitFor("it is told", async () => (await statusOf("orphan")) === "exited");
  expect(await field("orphan", ".State.ExitCode}} {{.RestartCount")).toBe("3 4");
  expect(await ok("stop", "orphan")).toBe("orphan");
  await ok("start", "orphan");
  await waitFor("again", async () => Number(await field("orphan", ".RestartCount")) >= 1);
  await ok("rm", "-f", "orphan");
});

test("stop, as it happens to end by itself: twenty times it stays stopped", async () => {
  for (let i = 0; i < 20; i++) {
    const pause = `0.0${i % 5}`;
    await ok("run", "-d", "--restart=always", "--name", "race", "busybox", "sleep", pause);
    await Bun.sleep((i * 7) % 60);
    await ok("stop", "race");
    expect(await statusOf("race")).toBe("exited");
    await ok("rm", "race");
  }
});

test("kill, as it happens to wait or to be started: twenty times it stays stopped", async () => {
  for (let i = 0; i < 20; i++) {
    await ok("run", "-d", "--restart=always", "--name", "race", "busybox", "true");
    await Bun.sleep((i * 37) % 260);
    await ok("kill", "race");
    expect(await statusOf("race")).toBe("exited");
    await ok("rm", "race");
  }
});

test.each<[string[], string]>([
  [["--rm", "--restart", "always"], "conflicting options: cannot specify both --restart and --rm"],
  [
    ["--restart", "sometimes"],
    "invalid restart policy: unknown policy 'sometimes'; use one of 'no', 'always', 'on-failure', or 'unless-stopped'",
  ],
  [["--restart", ":3"], "invalid restart policy format: no policy provided before colon"],
  [
    ["--restart", "on-failure:x"],
    "invalid restart policy format: maximum retry count must be an integer",
  ],
  [
    ["--restart", "on-failure:-1"],
    "invalid restart policy: maximum retry count cannot be negative",
  ],
  [
    ["--restart", "always:3"],
    "invalid restart policy: maximum retry count can only be used with 'on-failure'",
  ],
])("%j is refused", async (options, why) => {
  const { exitCode, err } = await engine.call(["run", "-d", ...options, "busybox", "true"]);
  expect([exitCode, err]).toEqual([125, expect.stringContaining(why)]);
  expect(await ok("ps", "-aq")).toBe("");
});

leavesNothingBehind(engine);
