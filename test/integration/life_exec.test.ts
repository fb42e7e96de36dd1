/** `exec`: a further process in a container that runs is in all that the container's own is in. */

import { describe, expect, test } from "bun:test";
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { leavesNothingBehind, useEngine } from "../helpers/cli.ts";
import { onTerminal } from "../helpers/terminal.ts";
import { waitFor } from "../helpers/wait.ts";

const engine = useEngine();

async function ok(...args: string[]): Promise<string> {
  const { exitCode, out, err } = await engine.call(args);
  expect([args.join(" "), exitCode, err]).toEqual([args.join(" "), 0, ""]);
  return out;
}

const pidOf = async (name: string): Promise<number> =>
  Number(await ok("inspect", "-f", "{{.State.Pid}}", name));

/** The pid on the host of the one process whose command line is this. */
async function findProcess(command: string): Promise<number> {
  return await waitFor(command, () => {
    const found = readdirSync("/proc").find((entry) => {
      try {
        return (
          readFileSync(`/proc/${entry}/cmdline`, "utf8") === `${command.replaceAll(" ", "\0")}\0`
        );
      } catch {
        return false;
      }
    });
    return found === undefined ? undefined : Number(found);
  });
}

test("it has the container's namespaces, cgroups, capabilities, filter, environment and directory", async () => {
  await ok(
    "run",
    "-d",
    "--name",
    "inner",
    "-e",
    "OWN=1",
    "-w",
    "/var",
    "--cap-drop",
    "NET_RAW",
    "busybox",
    "sleep",
    "1000",
  );
  await ok("exec", "-d", "inner", "sleep", "4321");
  const [first, other] = [await pidOf("inner"), await findProcess("sleep 4321")];
  for (const name of ["mnt", "net", "uts", "ipc", "pid", "cgroup", "user"]) {
    expect([name, readlinkSync(`/proc/${other}/ns/${name}`)]).toEqual([
      name,
      readlinkSync(`/proc/${first}/ns/${name}`),
    ]);
  }
  const fields = (pid: number) =>
    readFileSync(`/proc/${pid}/status`, "utf8")
      .split("\n")
      .filter((line) => /^(Cap|Seccomp|NoNewPrivs|Uid|Gid|Groups)/.test(line));
  expect(fields(other)).toEqual(fields(first));
  const cgroups = (pid: number) => readFileSync(`/proc/${pid}/cgroup`, "utf8");
  expect(cgroups(other)).toBe(cgroups(first));
  expect(readFileSync(`/proc/${other}/environ`, "utf8").split("\0").sort()).toEqual(
    readFileSync(`/proc/${first}/environ`, "utf8").split("\0").sort(),
  );
  expect(await ok("exec", "inner", "pwd")).toBe("/var");
  expect(await ok("top", "inner")).toContain("sleep 4321");
  await ok("rm", "-f", "inner");
  await waitFor("ended with it", () => !readdirSync("/proc").includes(String(other)));
});

test("-u, -w, -e and --env-file say otherwise, and names are the image's", async () => {
  await ok("run", "-d", "--name", "other", "-e", "A=1", "-e", "B=1", "busybox", "sleep", "1000");
  await ok(
    "exec",
    "other",
    "sh",
    "-c",
    "echo joe:x:1234:77::/home/joe:/bin/sh >>/etc/passwd; echo more:x:99:joe >>/etc/group",
  );
  const file = `${engine.directory("env")}/file`;
  await Bun.write(file, "B=2\n");
  expect(
    await ok(
      "exec",
      "-u",
      "joe",
      "-w",
      "/tmp",
      "-e",
      "A=3",
      "--env-file",
      file,
      "other",
      "sh",
      "-c",
      "id -u; id -g; id -G; echo $A $B $HOME; pwd",
    ),
  ).toBe("1234\n77\n77 99\n3 2 /home/joe\n/tmp");
  expect(
    await ok(
      "exec",
      "-u",
      "5:6",
      "other",
      "sh",
      "-c",
      "id -u; id -g; grep CapEff /proc/self/status",
    ),
  ).toMatch(/^5\n6\nCapEff:\t0+$/);
  await ok("rm", "-f", "other");
});

test("--privileged gives all capabilities, to the command alone", async () => {
  await ok("run", "-d", "--name", "plain", "--cap-drop", "ALL", "busybox", "sleep", "1000");
  const effective = async (...options: string[]) =>
    (await ok("exec", ...options, "plain", "grep", "CapEff", "/proc/self/status")).split("\t")[1];
  const own = /^CapEff:\t([0-9a-f]+)$/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1];
  expect(await effective("--privileged")).toBe(own as string);
  expect(await effective()).toBe("0".repeat(16));
  await ok("rm", "-f", "plain");
});

test("streams are apart, input with -i only, and exit codes are the command's", async () => {
  await ok("run", "-d", "--name", "io", "busybox", "sleep", "1000");
  const both = await engine.call(["exec", "io", "sh", "-c", "echo out; echo err >&2; exit 42"]);
  expect([both.exitCode, both.out, both.err]).toEqual([42, "out", "err"]);
  expect((await engine.call(["exec", "-i", "io", "cat"], { stdin: "typed" })).out).toBe("typed");
  expect((await engine.call(["exec", "io", "cat"], { stdin: "typed" })).out).toBe("");
  const killed = await engine.call(["exec", "io", "sh", "-c", "kill -9 $$"]);
  expect(killed.exitCode).toBe(137);
  const missing = await engine.call(["exec", "io", "nosuch"]);
  expect([missing.exitCode, missing.err]).toEqual([
    127,
    'mydocker: exec: "nosuch": executable file not found in $PATH',
  ]);
  expect((await engine.call(["exec", "io", "/etc"])).exitCode).toBe(126);
  expect((await engine.call(["exec", "-u", "nobody-there", "io", "true"])).exitCode).toBe(126);
  expect((await engine.call(["exec", "io"])).exitCode).toBe(1);
  // What it wrote is the caller's, not the log's.
  expect(await ok("logs", "io")).toBe("");
  const large = await engine.call(["exec", "io", "sh", "-c", "seq 1 200000"]);
  expect(large.out.split("\n")).toHaveLength(200000);
  await ok("rm", "-f", "io");
});

test("-it has a terminal of its own, of the caller's size, and Ctrl-C is for the command", async () => {
  await ok("run", "-d", "--name", "term", "busybox", "sleep", "1000");
  const session = onTerminal(engine, ["exec", "-it", "term", "sh"]);
  session.type("tty; stty size; echo $TERM\n");
  await session.waitForOutput(/\/dev\/pts\/\d+\r\n30 100\r\nxterm\r\n/);
  session.resize(90, 20);
  await waitFor("the size", async () => {
    session.type("stty size\n");
    await Bun.sleep(50);
    return session.output().includes("20 90\r\n");
  });
  session.type("sleep 4323\n");
  await findProcess("sleep 4323");
  await Bun.sleep(50);
  session.type("\u0003");
  session.type("exit 9\n");
  expect((await session.end()).exitCode).toBe(9);
  session.close();
  expect(await ok("ps", "-q")).not.toBe("");
  await ok("rm", "-f", "term");
});

describe("-it on a terminal", () => {
  const inTerm = (...options: string[]) =>
    onTerminal(engine, ["exec", "-it", ...options, "held", "sh", "-c", "echo ready; exec cat"]);
  const count = async () => (await ok("top", "held")).split("\n").length - 1;

  test("is left by keys, and the command goes on; others are passed on", async () => {
    await ok("run", "-d", "--name", "held", "busybox", "sleep", "1000");
    for (const [options, keys] of [
      [[], "\u0010\u0011"],
      [["--detach-keys", "ctrl-a,d"], "\u0001d"],
    ] as const) {
      const session = inTerm(...options);
      await session.waitForOutput(/ready/);
      const before = await count();
      session.type("typed\r");
      await session.waitForOutput(/typed\r\ntyped/); // an echo, and cat's
      session.type(keys);
      const { exitCode, output } = await session.end();
      expect([exitCode, output]).toEqual([1, expect.stringContaining("read escape sequence")]);
      expect(await count()).toBe(before);
    }
    await ok("rm", "-f", "held");
  });

  test("ends with the terminal, or when its command line is killed", async () => {
    await ok("run", "-d", "--name", "held", "busybox", "sleep", "1000");
    for (const lose of ["close", "kill"] as const) {
      const session = inTerm();
      await session.waitForOutput(/ready/);
      expect(await count()).toBe(2);
      if (lose === "close") session.close();
      else session.kill("SIGKILL");
      await waitFor("the end of the command", async () => (await count()) === 1);
      await session.end();
    }
    await ok("rm", "-f", "held");
  });

  test("passes signals on, and ends with the container", async () => {
    await ok("run", "-d", "--name", "held", "busybox", "sleep", "1000");
    const signalled = inTerm();
    await signalled.waitForOutput(/ready/);
    signalled.kill("SIGTERM");
    expect((await signalled.end()).exitCode).toBe(143);
    const last = inTerm();
    await last.waitForOutput(/ready/);
    await ok("rm", "-f", "held");
    expect((await last.end()).exitCode).toBe(137);
  });
});

test("a signal to the command line reaches the command", async () => {
  await ok("run", "-d", "--name", "sig", "busybox", "sleep", "1000");
  const running = engine.start([
    "exec",
    "sig",
    "sh",
    "-c",
    "trap 'echo got; exit 3' TERM; echo ready; while :; do sleep 0.02; done",
  ]);
  await running.waitForOutput(/ready/);
  running.kill("SIGTERM");
  const { exitCode, out } = await running.end();
  expect([exitCode, out]).toEqual([3, "ready\ngot"]);
  await ok("rm", "-f", "sig");
});

test("fifty at once, each with its own answer", async () => {
  await ok("run", "-d", "--name", "busy", "busybox", "sleep", "1000");
  const results = await Promise.all(
    Array.from({ length: 50 }, (_, index) => engine.call(["exec", "busy", "echo", String(index)])),
  );
  results.forEach(({ exitCode, out, err }, index) => {
    expect([exitCode, out, err]).toEqual([0, String(index), ""]);
  });
  await ok("rm", "-f", "busy");
});

test("in a container whose root is nobody on the host, it is that nobody, too", async () => {
  await ok("run", "-d", "--userns", "private", "--name", "mapped", "busybox", "sleep", "1000");
  await ok("exec", "-d", "mapped", "sleep", "4322");
  const uid = (pid: number) =>
    /^Uid:\t(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
  const [first, other] = [await pidOf("mapped"), await findProcess("sleep 4322")];
  expect(uid(other)).toBe(uid(first) as string);
  expect(uid(other)).not.toBe("0");
  expect(await ok("exec", "mapped", "sh", "-c", "id -u; echo x >/dev/stdout")).toBe("0\nx");
  await ok("rm", "-f", "mapped");
});

test("not in a container that does not run, or is paused", async () => {
  await ok("create", "--name", "idle", "busybox", "sleep", "1000");
  const stopped = await engine.call(["exec", "idle", "true"]);
  expect(stopped.exitCode).toBe(1);
  expect(stopped.err).toMatch(/^mydocker: container [0-9a-f]{64} is not running$/);
  await ok("start", "idle");
  await ok("pause", "idle");
  const paused = await engine.call(["exec", "idle", "true"]);
  expect([paused.exitCode, paused.err]).toEqual([
    1,
    "mydocker: container idle is paused, unpause the container before exec",
  ]);
  await ok("rm", "-f", "idle");
});

leavesNothingBehind(engine);
