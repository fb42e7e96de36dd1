/** The way out when a forked child hangs: init by way of a fresh process (src/runtime/stage.ts). */

import { expect, test } from "bun:test";
import { join } from "node:path";
import { leavesNothingBehind, useEngine } from "../helpers/cli.ts";
import { spawnOnTerminal } from "../helpers/terminal.ts";

const engine = useEngine();
const env = { MYDOCKER_FORK: "stage" };

test("the command is a child in new namespaces, with its exit code and its streams apart", async () => {
  const { exitCode, out, err } = await engine.run(
    [
      "-i",
      "busybox",
      "sh",
      "-c",
      "cat; echo $$; ps >/tmp/ps; wc -l </tmp/ps; echo wrong >&2; exit 7",
    ],
    { env, stdin: "given\n" },
  );
  expect({ exitCode, out, err }).toEqual({ exitCode: 7, out: "given\n1\n3", err: "wrong" });
});

test("limits, users and volumes are as ever", async () => {
  const { exitCode, out, err } = await engine.run(
    ["-m", "32m", "-u", "nobody", "--tmpfs", "/t", "--init", "busybox", "sh", "-c"].concat(
      "id -un; grep -c ' /t ' /proc/mounts; cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max 2>/dev/null",
    ),
    { env },
  );
  expect(err).toBe("");
  expect(out.split("\n")).toEqual(["nobody", "1", String(32 << 20)]);
  expect(exitCode).toBe(1); // one of the two files belongs to the other cgroup version
});

test("a command that is not there is told from one that fails", async () => {
  const { exitCode, err } = await engine.run(["busybox", "no-such-command"], { env });
  expect(exitCode).toBe(127);
  expect(err).toContain("executable file not found");
});

test("a terminal works", async () => {
  const command = 'MYDOCKER_FORK=stage exec "$MYDOCKER" run --rm -it busybox sh -c "tty; exit 5"';
  const { exitCode, output } = await spawnOnTerminal(engine, ["sh", "-c", command]).end();
  expect(output).toContain("/dev/pts/0");
  expect(exitCode).toBe(5);
});

test("with --init, the command's own process is not waited for when it hangs before it runs", () => {
  const fixture = join(import.meta.dir, "../fixtures/fork_hang.ts");
  const { stdout, stderr } = Bun.spawnSync([process.execPath, fixture], { timeout: 20_000 });
  expect(stderr.toString()).toBe("");
  expect(stdout.toString()).toBe("Error: the forked child hangs; gone\n");
});

leavesNothingBehind(engine);
