/** Streams without a terminal: apart, binary-clean, of any size. */

import { describe, expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { leavesNothingBehind, useEngine } from "../helpers/cli.ts";

const engine = useEngine();
const MIB = 1 << 20;

test("stdout and stderr stay apart, unfinished lines too", async () => {
  const { stdout, stderr, exitCode } = await engine.run([
    "busybox",
    "sh",
    "-c",
    "printf out; printf err >&2; printf OUT; printf ERR >&2",
  ]);
  expect([stdout.toString(), stderr.toString(), exitCode]).toEqual(["outOUT", "errERR", 0]);
});

test("16 MiB of random bytes come back through cat as they were", async () => {
  const bytes = randomBytes(16 * MIB + 1);
  const { stdout, stderr } = await engine.run(["-i", "busybox", "cat"], { stdin: bytes });
  expect(stdout.length).toBe(bytes.length);
  expect(stdout.equals(bytes)).toBe(true);
  expect(stderr.length).toBe(0);
});

test("stderr carries as much, at the same time", async () => {
  const script =
    "dd if=/dev/zero bs=1M count=8 2>/dev/null & tr '\\0' x </dev/zero | head -c 8388608 >&2; wait";
  const { stdout, stderr } = await engine.run(["busybox", "sh", "-c", script]);
  expect([stdout.length, stderr.length]).toEqual([8 * MIB, 8 * MIB]);
  expect(stderr.every((byte) => byte === 120)).toBe(true);
});

test("a small output is there before the command ends", async () => {
  const running = engine.start([
    "run",
    "--rm",
    "-i",
    "busybox",
    "sh",
    "-c",
    "echo first; read x; echo second $x",
  ]);
  await running.waitForOutput(/first/);
  running.stdin.write("typed\n");
  await running.waitForOutput(/second typed/);
  await running.end();
});

describe("stdin", () => {
  test("is at its end without -i", async () => {
    const { out } = await engine.run(["busybox", "wc", "-c"], { stdin: "not for you" });
    expect(out).toBe("0");
  });

  test("ends in the container when it ends outside", async () => {
    expect(
      (await engine.run(["-i", "busybox", "sh", "-c", "wc -c; echo after"], { stdin: "12345" }))
        .out,
    ).toBe("5\nafter");
    expect((await engine.run(["-i", "busybox", "wc", "-c"], { stdin: "" })).out).toBe("0");
  });

  test("that stays open does not keep a command that has ended", async () => {
    const { exitCode, out } = await engine.bash(
      'sleep 5 | { "$MYDOCKER" run --rm -i busybox true; echo "$? $SECONDS"; kill $(jobs -p) 2>/dev/null; exit 0; }',
      { timeout: 20_000 },
    );
    expect(exitCode).toBe(0);
    expect(out).toMatch(/^0 [01]$/);
  });

  test("that nobody reads blocks nothing", async () => {
    const { exitCode } = await engine.run(["-i", "busybox", "sh", "-c", "exit 5"], {
      stdin: randomBytes(4 * MIB),
    });
    expect(exitCode).toBe(5);
  });

  test("may be a file, and be closed", async () => {
    expect((await engine.bash(`echo content >f; "$MYDOCKER" run --rm -i busybox cat <f`)).out).toBe(
      "content",
    );
    expect(
      await engine.bash(`"$MYDOCKER" run --rm -i busybox sh -c 'cat; echo end' <&-`),
    ).toMatchObject({ out: "end", exitCode: 0 });
  });
});

describe("output", () => {
  test("that nobody reads any more ends the command", async () => {
    const { out } = await engine.bash(
      `"$MYDOCKER" run --rm busybox yes | head -n 2; echo "\${PIPESTATUS[0]}"`,
      { timeout: 20_000 },
    );
    const [first, second, status] = out.split("\n");
    expect([first, second]).toEqual(["y", "y"]);
    expect(status).not.toBe("0");
  });

  test("to a full disk is not lost in silence", async () => {
    const { exitCode } = await engine.bash(`"$MYDOCKER" run --rm busybox echo lost >/dev/full`);
    expect(exitCode).not.toBe(0);
  });

  test("goes to a file, behind what is there", async () => {
    const { out } = await engine.bash(
      `(echo a; "$MYDOCKER" run --rm busybox echo b; echo c) >g; cat g`,
    );
    expect(out).toBe("a\nb\nc");
  });

  test("may be closed", async () => {
    expect((await engine.bash(`"$MYDOCKER" run --rm busybox true >&- 2>&-`)).exitCode).toBe(0);
  });

  test("of what runs on in the background does not keep the command", async () => {
    const start = performance.now();
    const { out } = await engine.run(["busybox", "sh", "-c", "sleep 100 & echo done"]);
    expect(out).toBe("done");
    expect(performance.now() - start).toBeLessThan(10_000);
  });
});

test("a listing of nothing leaves the file that it is written to alone", async () => {
  const { out } = await engine.bash(
    'f=$(mktemp); echo keep >"$f"; "$MYDOCKER" ps -aq >>"$f"; cat "$f"; rm "$f"',
  );
  expect(out).toBe("keep");
});

describe("a standard input that others read from, too", () => {
  test("blocks nobody", async () => {
    // Each byte wakes all four, and one of them gets it.
    const { exitCode, out } = await engine.bash(
      `mkfifo shared; exec 3<>shared
       for i in 1 2 3 4; do "$MYDOCKER" run --rm -i busybox sleep 2 <&3 & done
       for i in $(seq 100); do echo >&3; sleep 0.01; done; wait; echo ended`,
      { timeout: 20_000 },
    );
    expect([exitCode, out]).toEqual([0, "ended"]);
  });

  test("stays as it was for them", async () => {
    const { out } = await engine.bash(
      `mkfifo fifo; exec 3<>fifo; echo one >&3
       flags() { grep flags /proc/self/fdinfo/3; }; flags
       "$MYDOCKER" run --rm -i busybox head -n 1 <&3; flags`,
    );
    const [before, one, after] = out.split("\n");
    expect(one).toBe("one");
    expect(after).toBe(before as string);
  });

  test("ends with the last writer of a fifo", async () => {
    const { out } = await engine.bash(
      `mkfifo ended; (echo last >ended) & "$MYDOCKER" run --rm -i busybox cat <ended`,
    );
    expect(out).toBe("last");
  });
});

describe("output that cannot be written", () => {
  test.each([
    ["standard output", "echo lost", ">/dev/full 2>&3", 125],
    ["standard output", "yes 2>/dev/null", ">/dev/full 2>&3", 1],
    ["standard output", "sh -c 'echo lost; exit 5'", ">/dev/full 2>&3", 5],
  ])(
    "is named (%s of %s), and the command's own exit code counts",
    async (name, command, to, code) => {
      const { exitCode, out } = await engine.bash(
        `exec 3>&1; "$MYDOCKER" run --rm busybox sh -c ${JSON.stringify(command)} ${to}`,
      );
      expect(out).toBe(`mydocker: cannot write to ${name}: no space left on device`);
      expect(exitCode).toBe(code);
    },
  );

  test("is told the command by SIGPIPE when nobody reads it", async () => {
    const { out, err } = await engine.bash(
      `"$MYDOCKER" run --rm busybox sh -c 'trap "echo pipe >&2; exit 3" PIPE; while echo y 2>/dev/null; do :; done' | head -n 1; echo "\${PIPESTATUS[0]}"`,
    );
    expect([out, err]).toEqual(["y\n3", "pipe"]);
  });

  test("ends a command on a terminal that nobody reads", async () => {
    const { out } = await engine.bash(
      `"$MYDOCKER" run --rm -t busybox yes | head -n 1; echo "\${PIPESTATUS[0]}"`,
    );
    expect(out).toBe("y\r\n129");
  });
});

leavesNothingBehind(engine);
