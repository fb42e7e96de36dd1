/** What a container in the background writes: all of it, once, in order, as Docker keeps it. */

import { describe, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { leavesNothingBehind, useEngine } from "../helpers/cli.ts";
import { waitFor } from "../helpers/wait.ts";

const engine = useEngine();

async function ok(...args: string[]): Promise<string> {
  const { exitCode, out, err } = await engine.call(args);
  expect([args.join(" "), exitCode, err]).toEqual([args.join(" "), 0, ""]);
  return out;
}

/** Runs a script in the background to its end. @returns the container's id */
async function runToEnd(name: string, script: string, ...options: string[]): Promise<string> {
  const id = await ok("run", "-d", "--name", name, ...options, "busybox", "sh", "-c", script);
  await ok("wait", name);
  return id;
}

const logFiles = (id: string): string[] =>
  readdirSync(join(engine.root, "containers", id))
    .filter((name) => name.startsWith(`${id}-json.log`))
    .sort();

const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

test("the file has Docker's format: a line of JSON for each line", async () => {
  const id = await runToEnd("form", `printf 'one\\ntwo'; sleep 0.1; echo '"q" <é>' >&2`);
  const path = join(engine.root, "containers", id, `${id}-json.log`);
  expect(statSync(path).mode & 0o777).toBe(0o640);
  const lines = readFileSync(path, "utf8")
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));
  expect(lines.map(({ log, stream }) => [log, stream])).toEqual([
    ["one\n", "stdout"],
    ['"q" <é>\n', "stderr"],
    ["two", "stdout"],
  ]);
  for (const { time } of lines) expect(time).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z$/);
  await ok("rm", "form");
});

test("standard output and error come apart again, and what has no end of line, too", async () => {
  await runToEnd("apart", "echo out; echo err >&2; printf tail");
  const { stdout, stderr } = await engine.call(["logs", "apart"]);
  expect([stdout.toString(), stderr.toString()]).toEqual(["out\ntail", "err\n"]);
  await ok("rm", "apart");
});

test("of a container in the foreground, too, unless it is removed at its end", async () => {
  const script = "echo out; echo err >&2; printf tail";
  const { out } = await engine.call(["run", "--name", "front", "busybox", "sh", "-c", script]);
  expect(out).toBe("out\ntail");
  const { stdout, stderr } = await engine.call(["logs", "front"]);
  expect([stdout.toString(), stderr.toString()]).toEqual(["out\ntail", "err\n"]);
  await ok("rm", "front");
  const running = engine.start([
    "run",
    "--rm",
    "--name",
    "gone",
    "busybox",
    "sh",
    "-c",
    "echo x; sleep 1000",
  ]);
  await running.waitForOutput(/x/);
  expect(await ok("logs", "gone")).toBe("");
  await ok("rm", "-f", "gone");
  await running.end();
});

test.each([
  ["every byte there is", "head -c 300000 /dev/urandom"],
  [
    "lines of 64 KB",
    "for i in 1 2 3 4 5 6 7 8; do head -c 65536 /dev/zero | tr '\\0' $i; echo; done",
  ],
  ["no end of line", "head -c 100000 /dev/zero | tr '\\0' é"],
  ["characters that are cut", "for i in 1 2 3 4 5 6 7 8 9; do printf 'x%08192d€é😀' $i; done"],
  ["many short lines", "seq 1 200000"],
])("no byte is lost or changed: %s", async (_, script) => {
  // The container writes down what it wrote, by another way.
  const folder = engine.directory("copy");
  await runToEnd("exact", `(${script}) | tee /copy/out`, "-v", `${folder}:/copy`);
  const { stdout } = await engine.call(["logs", "exact"]);
  const expected = readFileSync(join(folder, "out"));
  expect(stdout.length).toBe(expected.length);
  expect(sha256(stdout)).toBe(sha256(expected));
  await ok("rm", "exact");
});

describe("rotation", () => {
  test("the files are as large and as many as was asked for, and the newest lines are there", async () => {
    const id = await runToEnd(
      "turns",
      "seq 1 20000",
      "--log-opt",
      "max-size=100k",
      "--log-opt",
      "max-file=3",
    );
    expect(logFiles(id)).toEqual(["", ".1", ".2"].map((end) => `${id}-json.log${end}`));
    for (const name of logFiles(id)) {
      const { size } = statSync(join(engine.root, "containers", id, name));
      expect(size).toBeLessThan(100_000 + 200);
    }
    const numbers = (await ok("logs", "turns")).split("\n").map(Number);
    const first = numbers[0] as number;
    expect(numbers).toEqual(Array.from({ length: 20001 - first }, (_, index) => first + index));
    expect(await ok("logs", "-n", "3", "turns")).toBe("19998\n19999\n20000");
    expect((await ok("logs", "-n", "3500", "turns")).split("\n")[0]).toBe("16501");
    await ok("rm", "turns");
  });

  test("of one file only, it begins anew", async () => {
    const id = await runToEnd("single", "seq 1 5000", "--log-opt", "max-size=10k");
    expect(logFiles(id)).toEqual([`${id}-json.log`]);
    expect((await ok("logs", "single")).split("\n").at(-1)).toBe("5000");
    await ok("rm", "single");
  });

  test("logs -f loses and doubles nothing through it", async () => {
    const folder = engine.directory("go");
    await ok(
      "run",
      "-d",
      "--name",
      "follow",
      "--log-opt",
      "max-size=50k",
      "--log-opt",
      "max-file=20",
      "-v",
      `${folder}:/go`,
      "busybox",
      "sh",
      "-c",
      "until [ -e /go/x ]; do sleep 0.02; done; i=0; while [ $i -lt 40 ]; do seq $((i*100+1)) $((i*100+100)); i=$((i+1)); sleep 0.01; done",
    );
    const following = engine.start(["logs", "-f", "follow"]);
    await Bun.write(join(folder, "x"), "");
    const { out, exitCode } = await following.end();
    expect(exitCode).toBe(0);
    expect(out.split("\n").map(Number)).toEqual(
      Array.from({ length: 4000 }, (_, index) => index + 1),
    );
    await ok("rm", "follow");
  });

  test("without options it is on: 20 MB, five files", async () => {
    const id = await runToEnd(
      "usual",
      "yes 'a line of some forty characters, or so it seems' | head -n 400000",
    );
    expect(logFiles(id)).toHaveLength(3);
    expect((await ok("logs", "usual")).split("\n")).toHaveLength(400000);
    await ok("rm", "usual");
  });
});

describe("what is shown", () => {
  test("-t says when, --since and --until choose, --tail counts", async () => {
    await runToEnd("times", "echo a; sleep 0.3; echo b; sleep 0.3; echo c");
    const stamped = (await ok("logs", "-t", "times")).split("\n");
    for (const line of stamped)
      expect(line).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z [abc]$/);
    const time = (index: number) => stamped[index]?.split(" ")[0] as string;
    const between = new Date(Date.parse(time(1)) - 100).toISOString();
    expect(await ok("logs", "--since", between, "times")).toBe("b\nc");
    expect(await ok("logs", "--until", between, "times")).toBe("a");
    expect(await ok("logs", "--since", "10m", "--tail", "2", "times")).toBe("b\nc");
    expect(await ok("logs", "--tail", "0", "times")).toBe("");
    expect(await ok("logs", "--tail", "all", "times")).toBe("a\nb\nc");
    expect(await ok("logs", "--tail", "9", "times")).toBe("a\nb\nc");
    expect((await engine.call(["logs", "--since", "soon", "times"])).exitCode).toBe(1);
    // Nothing else is on record: Docker's space.
    expect(await ok("logs", "--details", "--tail", "1", "times")).toBe(" c");
    expect(await ok("logs", "--details", "-t", "--tail", "1", "times")).toBe(`${time(2)}  c`);
    await ok("rm", "times");
  });

  test("a reader that leaves, or is killed, does not harm the container", async () => {
    await ok(
      "run",
      "-d",
      "--name",
      "talks",
      "busybox",
      "sh",
      "-c",
      "while :; do echo line; sleep 0.01; done",
    );
    const { out } = await engine.bash('"$MYDOCKER" logs -f talks | head -n 3');
    expect(out).toBe("line\nline\nline");
    const following = engine.start(["logs", "-f", "talks"]);
    await following.waitForOutput(/line/);
    following.kill("SIGKILL");
    await following.end();
    const count = (await ok("logs", "talks")).length;
    await waitFor("more", async () => (await ok("logs", "talks")).length > count);
    await ok("rm", "-f", "talks");
  });

  test("--log-driver none keeps nothing, and says so", async () => {
    const id = await runToEnd("mute", "echo x", "--log-driver", "none");
    expect(logFiles(id)).toEqual([]);
    const { exitCode, err } = await engine.call(["logs", "mute"]);
    expect([exitCode, err]).toEqual([
      1,
      "mydocker: configured logging driver does not support reading",
    ]);
    await ok("rm", "mute");
  });

  test("with a terminal all is output, as the terminal gives it", async () => {
    await runToEnd("tty", "tty; echo e >&2", "-t");
    expect((await engine.call(["logs", "tty"])).stdout.toString()).toBe("/dev/pts/0\r\ne\r\n");
    await ok("rm", "tty");
  });
});

test("a disk that is full holds the container up, and nothing is lost when there is room again", async () => {
  // A state directory on a tmpfs that a file fills.
  const disk = engine.directory("disk");
  const mounted = await engine.bash('mount -t tmpfs -o size=24m tmpfs "$1"', { args: [disk] });
  expect(mounted.exitCode).toBe(0);
  const env = { MYDOCKER_ROOT: join(disk, "root"), MYDOCKER_RUN: join(disk, "run") };
  const call = (...args: string[]) => engine.call(args, { env });
  try {
    expect((await call("run", "--rm", "busybox", "true")).err).toBe("");
    const folder = engine.directory("copied");
    const started = await call(
      "run",
      "-d",
      "--name",
      "full",
      "-v",
      `${folder}:/copy`,
      "busybox",
      "sh",
      "-c",
      "until [ -e /copy/go ]; do sleep 0.02; done; seq 1 60000; touch /copy/done",
    );
    expect([started.exitCode, started.err]).toEqual([0, ""]);
    await engine.bash(
      'dd if=/dev/zero of="$1"/filler bs=64k 2>/dev/null; dd if=/dev/zero of="$1"/filler2 bs=4k 2>/dev/null; touch "$2"/go',
      { args: [disk, folder] },
    );
    await Bun.sleep(500);
    expect(existsSync(join(folder, "done"))).toBe(false);
    await engine.bash('rm "$1"/filler "$1"/filler2', { args: [disk] });
    expect((await call("wait", "full")).out).toBe("0");
    const { out } = await call("logs", "full");
    expect(out.split("\n").map(Number)).toEqual(
      Array.from({ length: 60000 }, (_, index) => index + 1),
    );
    expect((await call("rm", "full")).out).toBe("full");
  } finally {
    await call("rm", "-f", "full");
    // The monitor has said how it ended, and is about to end itself.
    await waitFor("unmounted", async () => {
      return (await engine.bash('umount "$1"', { args: [disk] })).exitCode === 0;
    });
  }
});

leavesNothingBehind(engine);
