/** Exit codes and signals, exact. */

import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { leavesNothingBehind, type Running, useEngine } from "../helpers/cli.ts";
import { descendants } from "../helpers/leaks.ts";
import { fuse, program, testIf } from "../helpers/requires.ts";
import { onTerminal } from "../helpers/terminal.ts";
import { waitFor } from "../helpers/wait.ts";

const engine = useEngine();

/** The pid, on the host, of a process of this name below one of ours. */
const pidBelow = (ancestor: number, name: string) =>
  waitFor(`${name} below ${ancestor}`, () =>
    descendants(ancestor)
      .map((text) => text.split(" "))
      .filter(([, each]) => each === name)
      .map(([pid]) => Number(pid))
      .at(0),
  );

/** A container whose command is running. */
async function started(options: readonly string[], ...command: string[]): Promise<Running> {
  const running = engine.start(["run", "--rm", ...options, "busybox", ...command]);
  await running.waitForOutput(/ready/);
  return running;
}

describe("the exit code", () => {
  test.each([0, 1, 2, 3, 42, 99, 124, 125, 126, 127, 128, 129, 130, 137, 143, 200, 254, 255])(
    "%i is the command's own",
    async (code) => {
      expect((await engine.run(["busybox", "sh", "-c", `exit ${code}`])).exitCode).toBe(code);
    },
  );

  test.each([0, 1, 125, 127, 137, 255])(
    "%i is the command's own on a terminal, too",
    async (code) => {
      expect(
        (
          await onTerminal(engine, [
            "run",
            "--rm",
            "-it",
            "busybox",
            "sh",
            "-c",
            `exit ${code}`,
          ]).end()
        ).exitCode,
      ).toBe(code);
    },
  );

  test("is 125 for our own failures and bad flags", async () => {
    for (const args of [
      ["--no-such-flag", "busybox"],
      ["-m"],
      ["--pull", "never", "no-such-image"],
      ["--network", "nosuch", "busybox"],
      ["--name", "-", "busybox", "true"],
    ]) {
      const { exitCode, out, err } = await engine.run(args);
      expect([args, exitCode, out]).toEqual([args, 125, ""]);
      expect(err).toStartWith("mydocker: ");
    }
  });

  test("is 127 for a command that is not there, 126 for one that cannot be run", async () => {
    expect((await engine.run(["busybox", "no-such-command"])).exitCode).toBe(127);
    expect((await engine.run(["busybox", "/no/such/command"])).exitCode).toBe(127);
    expect((await engine.run(["busybox", "/etc/passwd"])).exitCode).toBe(126);
    expect((await engine.run(["busybox", "/etc"])).exitCode).toBe(126);
  });

  test.each([
    ["SIGKILL", 137],
    ["SIGSEGV", 139],
    ["SIGABRT", 134],
    ["SIGTERM", 143],
  ] as const)(
    "is 128 + n when %s ends a process of the container under --init",
    async (signal, code) => {
      const running = engine.start(["run", "--rm", "--init", "busybox", "sleep", "1000"]);
      process.kill(await pidBelow(running.pid, "sleep"), signal);
      expect((await running.end()).exitCode).toBe(code);
    },
  );

  test("is 137 when pid 1 is killed from outside", async () => {
    const running = engine.start(["run", "--rm", "busybox", "sleep", "1000"]);
    process.kill(await pidBelow(running.pid, "sleep"), "SIGKILL");
    expect((await running.end()).exitCode).toBe(137);
  });

  test("of a killed child is the shell's to tell", async () => {
    expect(
      (
        await engine.run([
          "busybox",
          "sh",
          "-c",
          "sleep 9 & kill -9 $!; wait $!; echo $?; kill -9 1; echo alive",
        ])
      ).out,
    ).toBe("137\nalive");
  });
});

describe("signals", () => {
  test.each([
    "SIGHUP",
    "SIGINT",
    "SIGQUIT",
    "SIGUSR1",
    "SIGUSR2",
    "SIGTERM",
    "SIGALRM",
    "SIGCONT",
  ] as const)("%s to the command reaches pid 1", async (signal) => {
    const name = signal.slice(3);
    const running = await started(
      [],
      "sh",
      "-c",
      `trap 'echo got ${name}; exit 11' ${name}; echo ready; while :; do sleep 0.05; done`,
    );
    running.kill(signal);
    const { exitCode, out } = await running.end();
    expect([exitCode, out]).toEqual([11, `ready\ngot ${name}`]);
  });

  test("are forwarded as often as they come", async () => {
    const running = await started(
      [],
      "sh",
      "-c",
      "trap 'n=$((n+1)); echo got $n; [ $n -lt 3 ] || exit' USR1; echo ready; while :; do sleep 0.05; done",
    );
    for (const n of [1, 2, 3]) {
      running.kill("SIGUSR1");
      await running.waitForOutput(new RegExp(`got ${n}`));
    }
    expect((await running.end()).exitCode).toBe(0);
  });

  test("one that pid 1 ignores changes nothing, one that it does not handle ends it", async () => {
    const script = "trap '' TERM; echo ready; sleep 0.5; exit 6";
    const ignoring = await started([], "sh", "-c", script);
    ignoring.kill("SIGTERM");
    expect((await ignoring.end()).exitCode).toBe(6);
    // The kernel would drop it (pid_namespaces(7)), which is what people complain of.
    for (const options of [[], ["--init"]]) {
      const running = await started(options, "sh", "-c", "echo ready; sleep 100");
      running.kill("SIGTERM");
      expect((await running.end()).exitCode).toBe(143);
    }
  });

  test("ctrl-c ends a command that has no terminal of its own", async () => {
    const session = onTerminal(engine, [
      "run",
      "--rm",
      "--init",
      "busybox",
      "sh",
      "-c",
      "echo ready; sleep 100",
    ]);
    await session.waitForOutput(/ready/);
    session.type("\x03");
    expect((await session.end()).exitCode).toBe(130);
  });

  test("a stopped and continued command goes on", async () => {
    const running = await started(["-i"], "sh", "-c", "echo ready; read x; echo $x");
    running.kill("SIGSTOP");
    await Bun.sleep(50);
    running.kill("SIGCONT");
    running.stdin.write("on\n");
    expect((await running.end()).out).toBe("ready\non");
  });

  test("a signal that comes while the container starts is not lost", async () => {
    for (const delay of [0, 3, 6, 9, 12, 15, 20]) {
      const running = engine.start(["run", "--rm", "--init", "busybox", "sleep", "5"]);
      await Bun.sleep(delay);
      running.kill("SIGTERM");
      const start = performance.now();
      const { exitCode, signal } = await running.end();
      expect(performance.now() - start).toBeLessThan(4000);
      expect([`143 null`, `null SIGTERM`, `125 null`]).toContain(`${exitCode} ${signal}`);
    }
  });

  test("a handler of the command gets a signal through --init", async () => {
    const running = await started(
      ["--init"],
      "sh",
      "-c",
      "trap 'exit 44' TERM; echo ready; while :; do sleep 0.1; done",
    );
    running.kill("SIGTERM");
    expect((await running.end()).exitCode).toBe(44);
  });

  test("SIGKILL to the command kills the container with it", async () => {
    const running = await started([], "sh", "-c", "trap '' TERM HUP INT; echo ready; sleep 1000");
    const pid = await pidBelow(running.pid, "sleep");
    running.kill("SIGKILL");
    await running.end();
    await waitFor("its end", () => {
      try {
        return readFileSync(`/proc/${pid}/stat`, "utf8").includes(") Z ");
      } catch {
        return true;
      }
    });
    expect((await engine.call(["ps", "-aq"])).out).toBe("");
  });
});

describe("an event loop that we did not make", () => {
  const leaking = (made: string, numbers: string) => `
import os, select, sys
epoll = select.epoll()
${made}
spare = os.dup2(epoll.fileno(), 200)
for number in ${numbers}: os.dup2(spare, number)
os.execv(os.environ["MYDOCKER"], ["mydocker"] + sys.argv[1:])`;
  const python = [program("python3")];

  for (const [what, made, numbers] of [
    ["one descriptor", "", "[3]"],
    ["many descriptors", "", "range(3, 60)"],
  ] as const) {
    testIf(python, `does not make us deaf to signals (${what})`, async () => {
      const script = "trap 'exit 12' TERM; echo ready; while :; do sleep 0.05; done";
      const child = Bun.spawn(
        ["python3", "-c", leaking(made, numbers)].concat(
          "run",
          "--rm",
          "busybox",
          "sh",
          "-c",
          script,
        ),
        { env: { ...engine.env }, stdout: "pipe", stderr: "inherit" },
      );
      engine.track(child);
      await child.stdout.getReader().read();
      child.kill("SIGTERM");
      expect(await child.exited).toBe(12);
    });
  }
});

describe("a start that hangs in a file system that does not answer", () => {
  // Nobody answers what the kernel asks of this one (fuse(4)), not even whether it may be entered.
  const script = `
    exec 3<>/dev/fuse
    mount -i -t fuse -o fd=3,rootmode=40000,user_id=0,group_id=0 none "$1" || exit 99
    trap 'umount -l "$1"; kill -9 $pid 2>/dev/null' EXIT
    # A shell's background job ignores these two.
    env --default-signal=INT,QUIT "$MYDOCKER" run --rm "\${@:3}" -v "$1:/x" -w /x busybox echo ran 3<&- &
    pid=$!
    until read -r init _ </proc/$pid/task/$pid/children; grep -q "^State:.D" /proc/$init/status
    do sleep 0.05; done 2>/dev/null
    kill -$2 $pid; wait $pid; echo $?`;

  for (const [signal, code] of [
    ["INT", 130],
    ["TERM", 143],
    ["HUP", 129],
    ["QUIT", 131],
  ] as const) {
    testIf([fuse()], `is ended by SIG${signal}`, async () => {
      const args = [engine.directory("dead"), signal, "--sig-proxy=false"];
      const { out, err } = await engine.bash(script, { args, timeout: 20_000 });
      expect([out, err]).toEqual([
        String(code),
        `mydocker: SIG${signal} came before the container's command was started`,
      ]);
    });
  }

  testIf([fuse()], "is not ended by a signal that ends nothing", async () => {
    const { out } = await engine.bash(
      script.replace(
        "kill -$2 $pid",
        "kill -WINCH $pid; kill -CONT $pid; sleep 0.2; kill -INT $pid",
      ),
      { args: [engine.directory("dead"), "INT"], timeout: 20_000 },
    );
    expect(out).toBe("130");
  });
});

leavesNothingBehind(engine);
