/** `-t`: a terminal from the container's own devpts, and the caller's given back as it was. */

import { describe, expect, test } from "bun:test";
import { readlinkSync } from "node:fs";
import { EXECUTABLE, leavesNothingBehind, useEngine } from "../helpers/cli.ts";
import { descendants, readStat } from "../helpers/leaks.ts";
import { program, testIf } from "../helpers/requires.ts";
import { onTerminal, spawnOnTerminal } from "../helpers/terminal.ts";
import { waitFor } from "../helpers/wait.ts";

const engine = useEngine();

/** A command in a new container on a terminal. */
const inContainer = (...command: string[]) =>
  onTerminal(engine, ["run", "--rm", "-it", "busybox", ...command]);
const shell = (script: string) => inContainer("sh", "-c", script);

describe("the container's terminal", () => {
  test("is a pty of its own devpts on all three streams, and the controlling one", async () => {
    const { output, exitCode } = await shell(
      "tty; ls -1 /dev/pts; for i in 0 1 2; do [ -t $i ] && readlink /proc/self/fd/$i; done; echo control >/dev/tty; stat -c '%t:%T %F' /dev/console; ps -o tty,comm",
    ).end();
    const lines = output.replaceAll("\r", "").trimEnd().split("\n");
    expect(exitCode).toBe(0);
    const pty = "/dev/pts/0";
    expect(lines.slice(0, 7)).toEqual([pty, "0", "ptmx", pty, pty, pty, "control"]);
    expect(lines[7]).toMatch(/^88:0 character special file$/);
  });

  test("is the command's with --init, too", async () => {
    const session = onTerminal(
      engine,
      ["run", "--rm", "-it", "--init", "busybox", "sh", "-c"].concat(
        "tty; echo control >/dev/tty; exit 5",
      ),
    );
    const { output, exitCode } = await session.end();
    expect(output.replaceAll("\r", "")).toContain("/dev/pts/0\ncontrol");
    expect(exitCode).toBe(5);
  });

  test("has the size of the caller's, and follows it", async () => {
    const session = shell(
      "stty size; trap 'stty size; exit' WINCH; echo ready; while :; do sleep 0.1; done",
    );
    await session.waitForOutput(/30 100\r\nready/);
    session.resize(123, 45);
    await session.waitForOutput(/45 123/);
    expect((await session.end()).exitCode).toBe(0);
  });

  test("echoes, edits lines and ends input at ctrl-d", async () => {
    const session = inContainer("cat");
    await Bun.sleep(100);
    session.type("lime\x7f\x7fst\r");
    await session.waitForOutput(/list\r\n/);
    session.type("\x04");
    const { exitCode, output } = await session.end();
    expect(exitCode).toBe(0);
    expect(output).toEndWith("\r\nlist\r\n");
  });

  test("passes on every byte that is typed", async () => {
    const session = shell(
      "stty raw -echo; echo ready; head -c 256 | od -An -v -tu1 | tr -d '\\n'; echo end",
    );
    await session.waitForOutput(/ready/);
    session.type(String.fromCharCode(...Array.from({ length: 128 }, (_, i) => i)).repeat(2));
    const output = await session.waitForOutput(/end/);
    const bytes = output
      .slice(output.indexOf("ready") + 5)
      .match(/\d+/g)
      ?.map(Number);
    expect(bytes).toEqual(Array.from({ length: 256 }, (_, i) => i % 128));
    await session.end();
  });

  test("loses nothing of a lot of output", async () => {
    const { output } = await shell("seq 1 100000").end();
    expect(output).toBe(Array.from({ length: 100_000 }, (_, i) => `${i + 1}\r\n`).join(""));
  });

  test("has TERM in the environment", async () => {
    expect((await shell("echo $TERM").end()).output).toBe("xterm\r\n");
  });

  test("belongs to the user", async () => {
    const session = onTerminal(engine, [
      "run",
      "--rm",
      "-it",
      "-u",
      "nobody",
      "busybox",
      "sh",
      "-c",
      "stat -c %u:%g $(tty); echo x >/dev/tty && echo x >/dev/stderr",
    ]);
    expect((await session.end()).output).toBe("65534:5\r\nx\r\nx\r\n");
  });
});

describe("keys", () => {
  test("ctrl-c interrupts the command", async () => {
    const session = shell(
      "trap 'echo caught; exit 9' INT; echo ready; while :; do sleep 0.1; done",
    );
    await session.waitForOutput(/ready/);
    session.type("\x03");
    const { exitCode, output } = await session.end();
    expect(output).toContain("caught");
    expect(exitCode).toBe(9);
  });

  test("ctrl-c interrupts a foreground job of a shell, which goes on", async () => {
    const session = inContainer("sh");
    await session.waitForOutput(/# /);
    session.type("sleep 100\r");
    await Bun.sleep(200);
    session.type("\x03");
    session.type("echo status $?\r");
    await session.waitForOutput(/status 130/);
    session.type("exit 4\r");
    expect((await session.end()).exitCode).toBe(4);
  });

  test("ctrl-z and ctrl-\\ are the container's, not ours", async () => {
    const session = inContainer("sh");
    await session.waitForOutput(/# /);
    session.type("sleep 100\r");
    await Bun.sleep(200);
    session.type("\x1a");
    await session.waitForOutput(/Stopped/);
    expect(readStat(session.pid)?.state).not.toBe("T");
    session.type("kill %1; exit\r");
    session.type("exit\r");
    await session.end();
  });
});

describe("the caller's terminal", () => {
  const modesAround = async (
    act: (session: ReturnType<typeof shell>) => Promise<unknown> | unknown,
    script: string,
    settle = "",
  ) => {
    const session = spawnOnTerminal(engine, [
      "sh",
      "-c",
      `stty -a | md5sum; "$MYDOCKER" run --rm -it busybox sh -c '${script}'; ${settle}stty -a | md5sum; echo over`,
    ]);
    await session.waitForOutput(/-\r\n/);
    const before = session.modes();
    await session.waitForOutput(/ready/);
    const during = session.modes();
    await act(session);
    await session.waitForOutput(/over/);
    const sums = session.output().match(/[0-9a-f]{32}/g);
    await session.end();
    expect(during).not.toEqual(before); // raw
    expect(session.modes()).toEqual(before);
    expect(sums).toHaveLength(2);
    expect(sums?.[1]).toBe(sums?.[0] as string);
  };
  /** The pid of our command under the shell. */
  const command = async (session: ReturnType<typeof shell>) =>
    waitFor("the command", () => {
      const { stdout } = Bun.spawnSync(["sh", "-c", `cat /proc/${session.pid}/task/*/children`]);
      return Number(stdout.toString().trim().split(" ")[0]) || undefined;
    });

  test("is as before when the command has ended", () =>
    modesAround(() => {}, "echo ready; sleep 0.3"));

  test("is as before when the command fails", () =>
    modesAround(() => {}, "echo ready; sleep 0.3; exit 3"));

  test.each(["SIGTERM", "SIGHUP", "SIGINT"] as const)("is as before after %s", (signal) =>
    modesAround(
      async (session) => process.kill(await command(session), signal),
      'trap "exit 1" TERM HUP INT; echo ready; while :; do sleep 0.1; done',
    ),
  );

  test.each(["SIGSEGV", "SIGABRT", "SIGKILL"] as const)(
    "is as before after a crash (%s)",
    (signal) =>
      modesAround(
        async (session) => process.kill(await command(session), signal),
        "echo ready; sleep 60",
        "sleep 1; ", // after SIGKILL a guardian takes the modes back, at the same time as the shell goes on
      ),
  );

  test("is as before when the container cannot start", async () => {
    const session = spawnOnTerminal(engine, [
      "sh",
      "-c",
      `stty -a | md5sum; "$MYDOCKER" run --rm -it busybox no-such-command; echo $?; stty -a | md5sum`,
    ]);
    const { output } = await session.end();
    const sums = output.match(/[0-9a-f]{32}/g);
    expect(output).toContain("127");
    expect(sums?.[1]).toBe(sums?.[0] as string);
  });
});

test("-t without -i shows output and ignores input", async () => {
  const session = onTerminal(engine, [
    "run",
    "--rm",
    "-t",
    "busybox",
    "sh",
    "-c",
    "tty; echo done",
  ]);
  // The caller's terminal is not raw, so it adds a carriage return of its own.
  expect((await session.end()).output.replaceAll("\r", "")).toBe("/dev/pts/0\ndone\n");
});

test("-it without a terminal is an error", async () => {
  const { exitCode, out, err } = await engine.run(["-it", "busybox", "echo", "ran"], {
    stdin: "x",
  });
  expect({ exitCode, out }).toEqual({ exitCode: 1, out: "" });
  expect(err).toMatch(/not a (TTY|terminal)/i);
});

test("a lost terminal ends the command, and with it the container", async () => {
  const session = shell("echo ready; sleep 1000");
  await session.waitForOutput(/ready/);
  session.close();
  await waitFor(
    "the end",
    () => readStat(session.pid) === undefined || readStat(session.pid)?.state === "Z",
  );
  await session.end();
});

/** The end of a command, and of what it started. */
const gone = (pid: number) =>
  waitFor("the end", () => readStat(pid) === undefined || readStat(pid)?.state === "Z", 20_000);

describe("a terminal that is lost", () => {
  const OPTIONS = ["-t", "-it", "-i", ""];
  const script = "echo ready; sleep 1000";

  test.each(OPTIONS)("ends the container: run %s", async (option) => {
    const session = onTerminal(
      engine,
      ["run", "--rm", ...(option === "" ? [] : [option]), "busybox", "sh", "-c"].concat(script),
    );
    await session.waitForOutput(/ready/);
    const below = descendants(session.pid).map((line) => Number(line.split(" ")[0]));
    expect(below.length).toBeGreaterThan(0);
    session.close();
    await session.end();
    for (const pid of below) await gone(pid);
  });

  test.each(OPTIONS)("ends a container that a shell started: run %s", async (option) => {
    const session = spawnOnTerminal(engine, [
      "sh",
      "-c",
      `"$MYDOCKER" run --rm ${option} busybox sh -c '${script}'; true`,
    ]);
    await session.waitForOutput(/ready/);
    const below = descendants(session.pid).map((line) => Number(line.split(" ")[0]));
    expect(below.length).toBeGreaterThan(1);
    session.close();
    await session.end();
    for (const pid of below) await gone(pid);
  });

  test.each([
    ["-t", "sleep 1000"],
    ["-it", "sleep 1000"],
    ["-t", "yes"],
  ])("is noticed without a signal: %s %s", async (option, command) => {
    // What ignores SIGHUP is told of it by the terminal alone.
    const session = spawnOnTerminal(engine, [
      "sh",
      "-c",
      `trap "" HUP; exec "$MYDOCKER" run --rm ${option} busybox sh -c 'echo ready; exec ${command}'`,
    ]);
    await session.waitForOutput(/ready/);
    session.close();
    await gone(session.pid);
    await session.end();
  });
});

describe("a command that does not handle it", () => {
  test.each([
    ["ctrl-c", "\x03", 130],
    ["ctrl-\\", "\x1c", 131],
  ])("is ended by %s, although it is the first process", async (_, key, code) => {
    const session = shell("echo ready; exec sleep 1000");
    await session.waitForOutput(/ready/);
    session.type(key);
    expect((await session.end()).exitCode).toBe(code);
  });

  test("is not, where the key is only a character", async () => {
    const session = shell("stty raw; echo ready; head -c 2 | od -An -tx1; exit 3");
    await session.waitForOutput(/ready/);
    session.type("\x03\x1c");
    const { exitCode, output } = await session.end();
    expect(output).toContain("03 1c");
    expect(exitCode).toBe(3);
  });
});

testIf(
  [program("strace"), process.arch === "x64" ? undefined : "alarm(2) is x86-64's"],
  "a guardian of the terminal that hangs goes with its command",
  async () => {
    // Only the guardian calls alarm(2): there it stops, before it can say that it is there.
    const session = spawnOnTerminal(engine, [
      ...["strace", "--seccomp-bpf", "-f", "-qq", "-o", "/dev/null"],
      ...["-e", "trace=alarm", "-e", "inject=alarm:signal=STOP"],
      ...[EXECUTABLE, "run", "--rm", "-it", "busybox", "sleep", "1000"],
    ]);
    const named = (parent: number) =>
      descendants(parent)
        .map((line) => line.split(" "))
        .filter(([, name]) => name === "mydocker")
        .map(([pid]) => Number(pid));
    const command = await waitFor("the command", () => named(session.pid).at(0));
    const namespace = (pid: number) => {
      try {
        return readlinkSync(`/proc/${pid}/ns/pid`);
      } catch {
        return undefined; // it has just ended
      }
    };
    // The container's first process has a pid namespace of its own.
    const own = namespace(command);
    const guardian = await waitFor("a guardian that has stopped", () =>
      named(command).find(
        (pid) => namespace(pid) === own && /^[tT]$/.test(readStat(pid)?.state ?? ""),
      ),
    );
    process.kill(command, "SIGKILL");
    await gone(guardian);
    await session.end();
    expect((await engine.call(["ps", "-aq"])).out).toBe("");
  },
);

leavesNothingBehind(engine);
