/** Containers in the background: from `run -d` and `create` to their removal, without a daemon. */

import { describe, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { waitForClients } from "../helpers/attached.ts";
import { leavesNothingBehind, useEngine } from "../helpers/cli.ts";
import { readStat } from "../helpers/leaks.ts";
import { onTerminal } from "../helpers/terminal.ts";
import { waitFor } from "../helpers/wait.ts";

const engine = useEngine();

/** `mydocker ARGS…`, which has to succeed. @returns what it printed */
async function ok(...args: string[]): Promise<string> {
  const { exitCode, out, err } = await engine.call(args);
  expect([args.join(" "), exitCode, err]).toEqual([args.join(" "), 0, ""]);
  return out;
}

const field = (name: string, template: string): Promise<string> =>
  ok("inspect", "-f", `{{${template}}}`, name);

const statusOf = async (name: string): Promise<string> => {
  const lines = await ok("ps", "-a", "--format", "{{.Names}}\t{{.Status}}");
  return (
    new Map(lines.split("\n").map((line) => line.split("\t") as [string, string])).get(name) ?? ""
  );
};

/** What a container waits for: a file in a directory that is mounted on /gate. */
const gate = (name: string): string => engine.directory(name);
const WAIT_FOR_GATE = "until [ -e /gate/open ]; do sleep 0.02; done";

/** The monitor: the parent of the container's first process. */
async function monitorOf(name: string): Promise<number> {
  const parent = readStat(Number(await field(name, ".State.Pid")))?.parent ?? 0;
  expect(readFileSync(`/proc/${parent}/cmdline`, "utf8")).toContain("internal-monitor");
  return parent;
}

describe("run -d", () => {
  test("prints the whole id once the command is executed, and leaves it running", async () => {
    const id = await ok("run", "-d", "--name", "bg", "busybox", "sleep", "1000");
    expect(id).toMatch(/^[0-9a-f]{64}$/);
    const pid = Number(await field("bg", ".State.Pid"));
    expect(readFileSync(`/proc/${pid}/cmdline`, "utf8")).toBe("sleep\u00001000\0");
    expect(readFileSync(`/proc/${pid}/cgroup`, "utf8")).toContain(`/mydocker/${id}`);
    expect(await ok("ps", "-q", "--no-trunc")).toBe(id);
    expect(await statusOf("bg")).toMatch(/^Up /);
    expect(await ok("rm", "-f", "bg")).toBe("bg");
    expect(existsSync(`/proc/${pid}`)).toBe(false);
  });

  test("its monitor leads a session of its own, in /, with nothing of the caller's open", async () => {
    await ok("run", "-d", "--name", "apart", "busybox", "sleep", "1000");
    const monitor = await monitorOf("apart");
    const stat = readFileSync(`/proc/${monitor}/stat`, "latin1");
    const [, , , session] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    expect(Number(session)).toBe(monitor);
    const { out } = await engine.bash(
      "readlink /proc/$1/cwd; readlink /proc/$1/fd/0 /proc/$1/fd/1 /proc/$1/fd/2",
      { args: [String(monitor)] },
    );
    expect(out.split("\n")).toEqual(["/", "/dev/null", "/dev/null", "/dev/null"]);
    // What ends a session, or closes a terminal, does not mean it.
    for (const signal of ["SIGHUP", "SIGINT", "SIGQUIT", "SIGTERM"] as const) {
      process.kill(monitor, signal);
    }
    await Bun.sleep(50);
    expect(await statusOf("apart")).toMatch(/^Up /);
    await ok("rm", "-f", "apart");
  });

  test.each<[string[], number, string]>([
    [["busybox", "nosuch"], 127, "executable file not found"],
    [["busybox", "/etc"], 126, "permission denied"],
    [["-u", "nobody-there", "busybox", "true"], 125, "unable to find user nobody-there"],
  ])("%j fails as in the foreground, and leaves nothing", async (args, code, why) => {
    const foreground = await engine.call(["run", ...args]);
    const background = await engine.call(["run", "-d", ...args]);
    expect([foreground.exitCode, background.exitCode]).toEqual([code, code]);
    expect(background.err).toBe(foreground.err);
    expect(background.err).toContain(why);
    expect(await ok("ps", "-aq")).toBe("");
  });

  test("the end is on record: code and times", async () => {
    await ok("run", "-d", "--name", "ends", "busybox", "sh", "-c", "exit 7");
    expect(await ok("wait", "ends")).toBe("7");
    expect(await statusOf("ends")).toMatch(/^Exited \(7\) /);
    const state = JSON.parse(await field("ends", "json .State"));
    expect(state).toMatchObject({ Status: "exited", Running: false, Pid: 0, ExitCode: 7 });
    expect(Date.parse(state.FinishedAt)).toBeGreaterThanOrEqual(Date.parse(state.StartedAt));
    await ok("rm", "ends");
  });

  test("a command that ends at once, fifty times: each exit code is exact", async () => {
    for (let code = 0; code < 50; code++) {
      const id = await ok("run", "-d", "busybox", "sh", "-c", `exit ${code}`);
      expect([code, await ok("wait", id)]).toEqual([code, String(code)]);
      await ok("rm", id);
    }
  });

  test("--rm removes it at its end", async () => {
    const folder = gate("rm");
    const id = await ok(
      "run",
      "-d",
      "--rm",
      "-v",
      `${folder}:/gate`,
      "busybox",
      "sh",
      "-c",
      `${WAIT_FOR_GATE}; exit 3`,
    );
    const waiting = engine.start(["wait", id]);
    await waitForClients(engine, 1);
    await Bun.write(join(folder, "open"), "");
    expect((await waiting.end()).out).toBe("3");
    await waitFor("removed", () => !existsSync(join(engine.root, "containers", id)));
    expect(await ok("ps", "-aq")).toBe("");
  });

  test("--cidfile has the id", async () => {
    const file = join(engine.directory("cid"), "id");
    const id = await ok("run", "-d", "--cidfile", file, "busybox", "sleep", "1000");
    expect(readFileSync(file, "utf8")).toBe(id);
    await ok("rm", "-f", id);
  });

  test("32 at once, each with its own name and output", async () => {
    const names = Array.from({ length: 32 }, (_, index) => `many${index}`);
    const results = await Promise.all(
      names.map((name) => engine.call(["run", "-d", "--name", name, "busybox", "echo", name])),
    );
    for (const { exitCode, err } of results) expect([exitCode, err]).toEqual([0, ""]);
    await ok("wait", ...names);
    for (const name of names) expect(await ok("logs", name)).toBe(name);
    await ok("rm", ...names);
  });
});

describe("create, start, restart", () => {
  test("created it has not run; started it runs, again and again, with what it wrote before", async () => {
    const id = await ok(
      "create",
      "--name",
      "again",
      "-e",
      "WHAT=x",
      "busybox",
      "sh",
      "-c",
      "echo $WHAT >>/kept; cat /kept; exit $(wc -l </kept)",
    );
    expect(id).toMatch(/^[0-9a-f]{64}$/);
    expect(await statusOf("again")).toBe("Created");
    expect(await field("again", ".State.StartedAt")).toBe("0001-01-01T00:00:00Z");
    for (const count of [1, 2, 3]) {
      expect(await ok("start", "again")).toBe("again");
      expect(await ok("wait", "again")).toBe(String(count));
    }
    expect(await ok("logs", "again")).toBe("x\nx\nx\nx\nx\nx");
    await ok("rm", "again");
  });

  test("a container of the foreground can be started again", async () => {
    await engine.call([
      "run",
      "--name",
      "fore",
      "busybox",
      "sh",
      "-c",
      "echo more >>/f; wc -l </f",
    ]);
    await ok("start", "fore");
    expect(await ok("wait", "fore")).toBe("0");
    expect(await ok("logs", "fore")).toBe("1\n2");
    await ok("rm", "fore");
  });

  test("what cannot start stays as it was, and says why", async () => {
    await ok("create", "--name", "broken", "busybox", "nosuch");
    const { exitCode, err } = await engine.call(["start", "broken"]);
    expect([exitCode, err]).toEqual([
      1,
      'mydocker: exec: "nosuch": executable file not found in $PATH',
    ]);
    expect(await statusOf("broken")).toBe("Created");
    await ok("rm", "broken");
  });

  test("start of one that runs changes nothing; restart makes it another process", async () => {
    await ok("run", "-d", "--name", "twice", "busybox", "sleep", "1000");
    const first = await field("twice", ".State.Pid");
    expect(await ok("start", "twice")).toBe("twice");
    expect(await field("twice", ".State.Pid")).toBe(first);
    expect(await ok("restart", "-t", "0", "twice")).toBe("twice");
    expect(await field("twice", ".State.Pid")).not.toBe(first);
    expect(existsSync(`/proc/${first}`)).toBe(false);
    await ok("rm", "-f", "twice");
  });

  test("eight that start one container at once: it runs once", async () => {
    await ok("create", "--name", "race", "busybox", "sh", "-c", "echo ran; sleep 1000");
    const results = await Promise.all(
      Array.from({ length: 8 }, () => engine.call(["start", "race"])),
    );
    expect(results.some(({ exitCode }) => exitCode === 0)).toBe(true);
    await waitFor("a line", async () => (await ok("logs", "race")) !== "");
    expect(await ok("logs", "race")).toBe("ran");
    await ok("rm", "-f", "race");
  });
});

describe("stop and kill", () => {
  const TRAP =
    "trap 'echo got TERM; exit 5' TERM; trap 'echo got USR1' USR1; echo ready; while :; do sleep 0.02; done";
  const started = async (name: string, ...options: string[]) => {
    await ok("run", "-d", "--name", name, ...options, "busybox", "sh", "-c", TRAP);
    await waitFor("ready", async () => (await ok("logs", name)).includes("ready"));
  };

  test("stop sends TERM, and the code is the command's own", async () => {
    await started("polite");
    expect(await ok("stop", "polite")).toBe("polite");
    expect(await statusOf("polite")).toMatch(/^Exited \(5\)/);
    expect(await ok("logs", "polite")).toBe("ready\ngot TERM");
    expect(await ok("stop", "polite")).toBe("polite"); // fine: it does not run
    await ok("rm", "polite");
  });

  test("stop kills what does not end in time, and at once what would never hear of the signal", async () => {
    await ok(
      "run",
      "-d",
      "--name",
      "deaf",
      "busybox",
      "sh",
      "-c",
      "trap '' TERM; echo ready; while :; do sleep 0.02; done",
    );
    await waitFor("ready", async () => (await ok("logs", "deaf")) === "ready");
    await ok("stop", "-t", "1", "deaf");
    expect(await statusOf("deaf")).toMatch(/^Exited \(137\)/);
    await ok("run", "-d", "--name", "sleeper", "busybox", "sleep", "1000");
    await ok("stop", "sleeper");
    expect(await statusOf("sleeper")).toMatch(/^Exited \(137\)/);
    await ok("rm", "deaf", "sleeper");
  });

  test("of one that ends just then", async () => {
    for (let attempt = 0; attempt < 15; attempt++) {
      const id = await ok(
        "run",
        "-d",
        "busybox",
        "sh",
        "-c",
        "trap 'exit 0' TERM; while :; do :; done",
      );
      await Promise.all([ok("stop", id), ok("stop", id), engine.call(["kill", id])]);
      await ok("rm", id);
    }
  });

  test("--stop-signal is what it is asked with", async () => {
    await ok(
      "run",
      "-d",
      "--name",
      "quits",
      "--stop-signal",
      "QUIT",
      "busybox",
      "sh",
      "-c",
      "trap 'exit 33' QUIT; echo ready; while :; do sleep 0.02; done",
    );
    await waitFor("ready", async () => (await ok("logs", "quits")) === "ready");
    await ok("stop", "quits");
    expect(await statusOf("quits")).toMatch(/^Exited \(33\)/);
    await ok("rm", "quits");
  });

  test("kill -s sends just that signal; kill ends it", async () => {
    await started("target");
    await ok("kill", "-s", "USR1", "target");
    await waitFor("the signal", async () => (await ok("logs", "target")).includes("got USR1"));
    expect(await statusOf("target")).toMatch(/^Up /);
    expect(await ok("kill", "target")).toBe("target");
    expect(await statusOf("target")).toMatch(/^Exited \(137\)/);
    const { exitCode, err } = await engine.call(["kill", "target"]);
    expect(exitCode).toBe(1);
    expect(err).toMatch(
      /^mydocker: cannot kill container: target: container [0-9a-f]{64} is not running$/,
    );
    await ok("rm", "target");
  });

  test("of a container in the foreground, too", async () => {
    const running = engine.start(["run", "--name", "front", "busybox", "sh", "-c", TRAP]);
    await running.waitForOutput(/ready/);
    await ok("stop", "front");
    expect((await running.end()).exitCode).toBe(5);
    await ok("rm", "front");
  });
});

describe("pause", () => {
  test("nothing of it runs until it is unpaused, and it can be stopped", async () => {
    await ok(
      "run",
      "-d",
      "--name",
      "frozen",
      "busybox",
      "sh",
      "-c",
      "while :; do echo x; sleep 0.01; done",
    );
    expect(await ok("pause", "frozen")).toBe("frozen");
    expect(await statusOf("frozen")).toMatch(/^Up .* \(Paused\)$/);
    expect(await field("frozen", ".State.Paused")).toBe("true");
    let before: string | undefined;
    // What it wrote before may be on its way to the log; of one that runs there would be more each time.
    await waitFor("a log that stays as it is", async () => {
      const now = await ok("logs", "frozen");
      const stays = now === before;
      before = now;
      if (!stays) await Bun.sleep(100);
      return stays;
    });
    expect((await engine.call(["pause", "frozen"])).err).toMatch(/is already paused$/);
    await ok("unpause", "frozen");
    expect((await engine.call(["unpause", "frozen"])).err).toMatch(/is not paused$/);
    await waitFor("more", async () => (await ok("logs", "frozen")) !== before);
    await ok("pause", "frozen");
    await ok("stop", "-t", "1", "frozen");
    await ok("start", "frozen");
    await ok("pause", "frozen");
    await ok("rm", "-f", "frozen");
  });
});

describe("rename", () => {
  test("the new name is taken, the old one free, of one that runs and is removed at its end, too", async () => {
    await ok("run", "-d", "--rm", "--name", "old", "busybox", "sleep", "1000");
    await ok("rename", "old", "new");
    expect(await ok("ps", "--format", "{{.Names}}")).toBe("new");
    expect((await engine.call(["inspect", "old"])).exitCode).toBe(1);
    await ok("run", "-d", "--rm", "--name", "old", "busybox", "sleep", "1000");
    const { exitCode, err } = await engine.call(["rename", "old", "new"]);
    expect(exitCode).toBe(1);
    expect(err).toContain('The container name "/new" is already in use');
    await ok("stop", "old", "new");
    await waitFor("gone", () => readdirSync(join(engine.root, "names")).length === 0);
  });
});

describe("inspect, top", () => {
  test("inspect has Docker's shape, and --format looks into it", async () => {
    const id = await ok(
      "run",
      "-d",
      "--name",
      "seen",
      "-m",
      "64m",
      "-l",
      "a=b",
      "-v",
      `${engine.directory("v")}:/v:ro`,
      "-e",
      "E=1",
      "busybox",
      "sleep",
      "1000",
    );
    const [all] = JSON.parse(await ok("inspect", "seen"));
    expect(all).toMatchObject({
      Id: id,
      Name: "/seen",
      Path: "sleep",
      Args: ["1000"],
      State: { Status: "running", Running: true, Paused: false, ExitCode: 0 },
      HostConfig: { Memory: 67108864, NetworkMode: "none", LogConfig: { Type: "json-file" } },
      Config: { Labels: { a: "b" }, Image: "busybox", Cmd: ["sleep", "1000"] },
      Mounts: [{ Type: "bind", Destination: "/v", RW: false }],
    });
    expect(all.Config.Env).toContain("E=1");
    expect(existsSync(all.LogPath)).toBe(true);
    expect(
      await ok("inspect", "-f", '{{.State.Status}} {{index .Config.Labels "a"}}', "seen"),
    ).toBe("running b");
    const { exitCode, out, err } = await engine.call(["inspect", "nosuch"]);
    expect([exitCode, out, err]).toEqual([1, "[]", "mydocker: No such object: nosuch"]);
    const top = await ok("top", "seen");
    expect(top.split("\n")).toHaveLength(2);
    expect(top).toMatch(/^UID +PID +PPID[^\n]*\n[^\n]*sleep 1000$/);
    expect(await ok("top", "seen", "-o", "pid,comm")).toMatch(/^PID +COMMAND\n\d+ +sleep$/);
    // From a terminal, too, of which ps(1) would show the processes alone.
    const session = onTerminal(engine, ["top", "seen", "-o", "pid,comm"]);
    expect((await session.end()).output).toMatch(/^PID +COMMAND\r\n\d+ +sleep\r\n$/);
    session.close();
    await ok("rm", "-f", "seen");
  });
});

test("what there is not is said, one line each, and exit code 1", async () => {
  for (const command of [
    "start",
    "stop",
    "kill",
    "restart",
    "pause",
    "unpause",
    "wait",
    "logs",
    "top",
  ]) {
    const { exitCode, out, err } = await engine.call([command, "nosuch"]);
    expect([command, exitCode, out, err]).toEqual([
      command,
      1,
      "",
      "mydocker: No such container: nosuch",
    ]);
  }
});

leavesNothingBehind(engine);
