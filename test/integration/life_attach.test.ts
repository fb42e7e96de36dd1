/** `attach`, detach keys, `start -a -i`: terminals and pipes that come and go while the container runs. */

import { describe, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { waitForClients } from "../helpers/attached.ts";
import { leavesNothingBehind, useEngine } from "../helpers/cli.ts";
import { readStat } from "../helpers/leaks.ts";
import { onTerminal } from "../helpers/terminal.ts";
import { waitFor } from "../helpers/wait.ts";

const engine = useEngine();

async function ok(...args: string[]): Promise<string> {
  const { exitCode, out, err } = await engine.call(args);
  expect([args.join(" "), exitCode, err]).toEqual([args.join(" "), 0, ""]);
  return out;
}

const DETACH = "\u0010\u0011";
const statusOf = (name: string): Promise<string> => ok("inspect", "-f", "{{.State.Status}}", name);

describe("on a terminal", () => {
  test("detached by keys it runs on, attached again it is the same shell", async () => {
    await ok("run", "-dit", "--name", "shell", "busybox", "sh");
    const first = onTerminal(engine, ["attach", "shell"]);
    const before = first.modes();
    first.type("X=kept; stty size; echo pid $$\n");
    await first.waitForOutput(/30 100\r\npid 1\r\n/);
    first.type(DETACH);
    const left = await first.end();
    expect([left.exitCode, left.output.includes("read escape sequence")]).toEqual([1, true]);
    expect(first.modes()).toEqual(before);
    first.close();
    expect(await statusOf("shell")).toBe("running");
    const second = onTerminal(engine, ["attach", "shell"]);
    second.resize(90, 20);
    second.type("echo $X; sleep 0.1; stty size; exit 6\n");
    const end = await second.end();
    second.close();
    expect(end.exitCode).toBe(6);
    expect(end.output).toMatch(/kept\r\n20 90\r\n/);
    // What was shown to those who were attached is in the log.
    expect(await ok("logs", "shell")).toContain("kept\r");
    await ok("rm", "shell");
  });

  test("--detach-keys are others, and the usual ones are passed on then", async () => {
    await ok(
      "run",
      "-dit",
      "--name",
      "keys",
      "busybox",
      "sh",
      "-c",
      "stty raw -echo; echo ready; od -An -tx1 -N 2; sleep 1000",
    );
    await waitFor("ready", async () => (await ok("logs", "keys")).includes("ready"));
    const session = onTerminal(engine, ["attach", "--detach-keys", "ctrl-a,d", "keys"]);
    await waitForClients(engine, 1);
    session.type(DETACH);
    await session.waitForOutput(/10 11/);
    session.type("\u0001d");
    expect((await session.end()).exitCode).toBe(1);
    session.close();
    expect(await statusOf("keys")).toBe("running");
    await ok("rm", "-f", "keys");
  });

  test("a terminal that is lost, or a client that is killed, leaves it running", async () => {
    await ok("run", "-dit", "--name", "lasts", "busybox", "sh");
    for (const leave of ["close", "kill"] as const) {
      const session = onTerminal(engine, ["attach", "lasts"]);
      session.type("echo he''re\n");
      await session.waitForOutput(/here/);
      if (leave === "close") session.close();
      else session.kill("SIGKILL");
      await session.end();
      if (leave === "kill") session.close();
      expect(await statusOf("lasts")).toBe("running");
    }
    await ok("rm", "-f", "lasts");
  });

  test("start -ai is attached from the first byte on, and Ctrl-C is for the container", async () => {
    await ok(
      "create",
      "-it",
      "--name",
      "again",
      "busybox",
      "sh",
      "-c",
      "echo first; trap 'echo int; exit 4' INT; while :; do sleep 0.05; done",
    );
    const session = onTerminal(engine, ["start", "-ai", "again"]);
    await session.waitForOutput(/first/);
    await Bun.sleep(100);
    session.type("\u0003");
    const end = await session.end();
    session.close();
    expect([end.exitCode, end.output]).toEqual([
      4,
      expect.stringMatching(/^first\r\n(\^C)?int\r\n/),
    ]);
    await ok("rm", "again");
  });
});

describe("with pipes", () => {
  test("input and both outputs go through, the end of the input too, and the exit code comes back", async () => {
    await ok("create", "-i", "--name", "pipes", "busybox", "sh", "-c", "cat; echo err >&2; exit 5");
    const { exitCode, out, err } = await engine.call(["start", "-ai", "pipes"], {
      stdin: "typed\n",
    });
    expect([exitCode, out, err]).toEqual([5, "typed", "err"]);
    await ok("rm", "pipes");
  });

  test("without -i the container gets no input; start -a shows what it writes", async () => {
    await ok("create", "--name", "shown", "busybox", "sh", "-c", "cat; echo out; exit 2");
    const { exitCode, out } = await engine.call(["start", "-a", "shown"], { stdin: "typed\n" });
    expect([exitCode, out]).toEqual([2, "out"]);
    await ok("rm", "shown");
  });

  test("of run -di the input stays open for whoever comes next", async () => {
    await ok(
      "run",
      "-di",
      "--name",
      "open",
      "busybox",
      "sh",
      "-c",
      "while read line; do echo got $line; done; echo over",
    );
    for (const line of ["one", "two"]) {
      const running = engine.start(["attach", "open"]);
      running.stdin.write(`${line}\n`);
      await running.stdin.flush();
      await running.waitForOutput(new RegExp(`got ${line}`));
      running.kill("SIGTERM"); // forwarded: a shell that is the first process does not heed it
      running.kill("SIGKILL");
      await running.end();
    }
    expect(await ok("logs", "open")).toBe("got one\ngot two");
    await ok("rm", "-f", "open");
  });

  test("20 MB come through to two at once and to the log, each in full", async () => {
    const folder = engine.directory("gate");
    await ok(
      "run",
      "-d",
      "--name",
      "large",
      "--log-opt",
      "max-size=-1",
      "-v",
      `${folder}:/gate`,
      "busybox",
      "sh",
      "-c",
      "until [ -e /gate/open ]; do sleep 0.02; done; yes 0123456789abcdef | head -c 20000000 | tee /gate/copy",
    );
    const clients = [engine.start(["attach", "large"]), engine.start(["attach", "large"])];
    await waitForClients(engine, 2);
    await Bun.write(join(folder, "open"), "");
    const ends = await Promise.all(clients.map((client) => client.end()));
    const sum = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");
    const expected = sum(readFileSync(join(folder, "copy")));
    for (const { exitCode, stdout } of ends) expect([exitCode, sum(stdout)]).toEqual([0, expected]);
    expect(sum((await engine.call(["logs", "large"])).stdout)).toBe(expected);
    await ok("rm", "large");
  });

  test("a client that stops reading holds the output up, and it goes on when that is killed", async () => {
    await ok(
      "run",
      "-d",
      "--name",
      "held",
      "busybox",
      "sh",
      "-c",
      "i=0; while :; do i=$((i+1)); echo line $i of some length to fill what there is; done",
    );
    const client = engine.start(["attach", "held"]);
    await client.waitForOutput(/line/);
    client.kill("SIGSTOP");
    const size = async () =>
      (await engine.bash('cat "$1"/containers/*/*-json.log* | wc -c', { args: [engine.root] })).out;
    let last = "";
    await waitFor("it stands still", async () => {
      const now = await size();
      const isSame = now === last;
      last = now;
      await Bun.sleep(200);
      return isSame;
    });
    client.kill("SIGKILL");
    await client.end();
    await waitFor("it goes on", async () => (await size()) !== last);
    await ok("rm", "-f", "held");
  });

  test("signals are forwarded, with --sig-proxy=false they end the client alone", async () => {
    await ok(
      "run",
      "-d",
      "--name",
      "signalled",
      "busybox",
      "sh",
      "-c",
      "trap 'echo usr1' USR1; trap 'echo term; exit 8' TERM; echo ready; while :; do sleep 0.02; done",
    );
    await waitFor("ready", async () => (await ok("logs", "signalled")).includes("ready"));
    const alone = engine.start(["attach", "--sig-proxy=false", "signalled"]);
    await waitForClients(engine, 1);
    alone.kill("SIGTERM");
    await alone.end();
    expect(await statusOf("signalled")).toBe("running");
    const client = engine.start(["attach", "signalled"]);
    await waitForClients(engine, 1);
    client.kill("SIGUSR1");
    await client.waitForOutput(/usr1/);
    client.kill("SIGTERM");
    expect((await client.end()).exitCode).toBe(8);
    await ok("rm", "signalled");
  });

  test("the monitor is killed: the client says how the container ended", async () => {
    await ok("run", "-d", "--name", "dies", "busybox", "sh", "-c", "echo x; sleep 1000");
    const client = engine.start(["attach", "dies"]);
    await waitForClients(engine, 1);
    const pid = Number(await ok("inspect", "-f", "{{.State.Pid}}", "dies"));
    process.kill(readStat(pid)?.parent as number, "SIGKILL");
    expect((await client.end()).exitCode).toBe(137);
    await ok("rm", "dies");
  });
});

test("what cannot be attached to is said", async () => {
  await ok("create", "--name", "still", "busybox", "sleep", "1000");
  expect((await engine.call(["attach", "still"])).err).toBe(
    "mydocker: You cannot attach to a stopped container, start it first",
  );
  await ok("start", "still");
  await ok("pause", "still");
  expect((await engine.call(["attach", "still"])).err).toBe(
    "mydocker: You cannot attach to a paused container, unpause it first",
  );
  await ok("rm", "-f", "still");
  const front = engine.start([
    "run",
    "--name",
    "front",
    "busybox",
    "sh",
    "-c",
    "echo ready; sleep 1000",
  ]);
  await front.waitForOutput(/ready/);
  const { exitCode, err } = await engine.call(["attach", "front"]);
  expect([exitCode, err]).toEqual([
    1,
    expect.stringContaining("runs in another command's foreground"),
  ]);
  await ok("rm", "-f", "front");
  await front.end();
  const two = await engine.call(["start", "-a", "a", "b"]);
  expect([two.exitCode, two.err]).toEqual([
    1,
    "mydocker: you cannot start and attach multiple containers at once",
  ]);
});

leavesNothingBehind(engine);
