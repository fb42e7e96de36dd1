/** `update`: limits and restart policy of containers that run, and of those that do not. */

import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { leavesNothingBehind, useEngine } from "../helpers/cli.ts";
import { isUnified } from "../helpers/container_facts.ts";
import { controller, testIf } from "../helpers/requires.ts";
import { waitFor } from "../helpers/wait.ts";

const engine = useEngine();
const [MEMORY, CPU, CPUSET, PIDS] = ["memory", "cpu", "cpuset", "pids"].map(controller);

async function ok(...args: string[]): Promise<string> {
  const { exitCode, out, err } = await engine.call(args);
  expect([args.join(" "), exitCode, err]).toEqual([args.join(" "), 0, ""]);
  return out;
}

const field = (name: string, template: string): Promise<string> =>
  ok("inspect", "-f", `{{${template}}}`, name);

/** What the host's cgroup file of a container says. */
async function limit(name: string, v1: string, v2: string): Promise<string> {
  const path = await field(name, ".HostConfig.CgroupPath");
  const [hierarchy, file] = isUnified ? ["", v2] : (v1.split("/") as [string, string]);
  return readFileSync(`/sys/fs/cgroup/${hierarchy}${path}/${file}`, "utf8").trim();
}
const memoryOf = (name: string) => limit(name, "memory/memory.limit_in_bytes", "memory.max");
const pidsOf = (name: string) => limit(name, "pids/pids.max", "pids.max");
const cpusOf = (name: string) => limit(name, "cpuset/cpuset.cpus", "cpuset.cpus");

/** Refused with these words; nothing has changed. */
async function refused(name: string, options: string[], why: string): Promise<void> {
  const before = await field(name, "json .HostConfig");
  const { exitCode, out, err } = await engine.call(["update", ...options, name]);
  expect([exitCode, out, err]).toEqual([1, "", expect.stringContaining(why)]);
  expect(await field(name, "json .HostConfig")).toBe(before);
}

describe("of a container that runs", () => {
  testIf(
    [MEMORY, CPU, CPUSET, PIDS],
    "limits hold at once, are on record, and hold after a start",
    async () => {
      await ok("run", "-d", "--name", "live", "busybox", "sleep", "1000");
      await ok("create", "--name", "idle", "busybox", "sleep", "1000");
      const options = ["-m", "64m", "--pids-limit", "77", "--cpus", "0.5", "--cpuset-cpus", "0"];
      expect(await ok("update", ...options, "live", "idle")).toBe("live\nidle");
      const holds = async (name: string) => {
        expect([await memoryOf(name), await pidsOf(name), await cpusOf(name)]).toEqual([
          String(64 << 20),
          "77",
          "0",
        ]);
        const quota = await limit(name, "cpu/cpu.cfs_quota_us", "cpu.max");
        expect(quota).toBe(isUnified ? "50000 100000" : "50000");
      };
      await holds("live");
      await ok("restart", "-t", "0", "live");
      await holds("live");
      await ok("start", "idle");
      await holds("idle");
      expect(JSON.parse(await field("idle", "json .HostConfig"))).toMatchObject({
        Memory: 64 << 20,
        PidsLimit: 77,
        NanoCpus: 5e8,
        CpusetCpus: "0",
      });
      await ok("rm", "-f", "live", "idle");
    },
  );

  testIf(
    [MEMORY],
    "one that grows over its new limit is told as killed for want of memory",
    async () => {
      // It waits for a signal that comes after the update.
      const script = 'trap "tail /dev/zero; exit 9" USR1; echo ready; while :; do sleep 0.02; done';
      await ok("run", "-d", "--name", "grows", "busybox", "sh", "-c", script);
      await waitFor("ready", async () => (await ok("logs", "grows")) === "ready");
      await ok("update", "-m", "32m", "grows");
      await ok("kill", "-s", "USR1", "grows");
      await ok("wait", "grows");
      expect(await field("grows", ".State.OOMKilled")).toBe("true");
      await ok("rm", "grows");
    },
  );

  testIf([PIDS], "a limit is taken away again by 0 or -1", async () => {
    await ok("run", "-d", "--name", "free", "--pids-limit", "50", "busybox", "sleep", "1000");
    for (const none of ["0", "-1"]) {
      await ok("update", "--pids-limit", "60", "free");
      expect(await pidsOf("free")).toBe("60");
      await ok("update", `--pids-limit=${none}`, "free");
      expect(await pidsOf("free")).toBe("max");
    }
    await ok("rm", "-f", "free");
  });

  testIf(
    [MEMORY, CPUSET],
    "what the kernel refuses changes nothing, on record neither",
    async () => {
      await ok("run", "-d", "--name", "same", "-m", "64m", "busybox", "sleep", "1000");
      await refused("same", ["--cpuset-cpus", "4000", "-m", "32m"], "Cannot update container");
      expect(await memoryOf("same")).toBe(String(64 << 20));
      await ok("rm", "-f", "same");
    },
  );

  testIf([CPU, MEMORY], "what contradicts what it has is refused in Docker's words", async () => {
    await ok(
      "run",
      "-d",
      "--name",
      "has",
      "--cpus",
      "0.5",
      "-m",
      "32m",
      "--memory-swap",
      "64m",
      "busybox",
      "sleep",
      "1000",
    );
    const conflict = (what: string, other: string) =>
      `Conflicting options: ${what} cannot be updated as ${other} has already been set`;
    await refused("has", ["--cpu-quota", "20000"], conflict("CPU Quota", "NanoCPUs"));
    await refused("has", ["--cpu-period", "20000"], conflict("CPU Period", "NanoCPUs"));
    await refused(
      "has",
      ["-m", "100m"],
      "Memory limit should be smaller than already set memoryswap limit",
    );
    await refused(
      "has",
      ["--memory-swap", "16m"],
      "Minimum memoryswap limit should be larger than memory limit",
    );
    await refused(
      "has",
      ["--memory-reservation", "40m"],
      "Minimum memory limit can not be less than memory reservation limit",
    );
    await ok("update", "-m", "100m", "--memory-swap", "200m", "has");
    expect(await memoryOf("has")).toBe(String(100 << 20));
    await ok("rm", "-f", "has");
  });
});

describe("restart policy", () => {
  test("of one that runs counts when it ends", async () => {
    await ok("run", "-d", "--name", "becomes", "busybox", "sleep", "1000");
    await ok("update", "--restart", "on-failure:3", "becomes");
    const pid = async () => Number(await field("becomes", ".State.Pid"));
    process.kill(await pid(), "SIGKILL");
    await waitFor("again", async () => (await field("becomes", ".RestartCount")) === "1");
    await waitFor("it runs", async () => (await pid()) > 0);
    await ok("update", "--restart", "no", "becomes");
    process.kill(await pid(), "SIGKILL");
    await waitFor("ended", async () => (await field("becomes", ".State.Status")) === "exited");
    expect(await field("becomes", ".State.ExitCode}} {{.RestartCount")).toBe("137 1");
    await ok("rm", "becomes");
  });

  test("of one that waits to be started again: no means not again", async () => {
    await ok("run", "-d", "--restart=always", "--name", "waits", "busybox", "false");
    await waitFor("it waits", async () => Number(await field("waits", ".RestartCount")) >= 3);
    await ok("update", "--restart=no", "waits");
    await waitFor("ended", async () => (await field("waits", ".State.Status")) === "exited");
    await ok("rm", "waits");
  });

  test("none of a container that is removed at its end", async () => {
    await ok("run", "-d", "--rm", "--name", "auto", "busybox", "sleep", "1000");
    await refused(
      "auto",
      ["--restart", "always"],
      "Restart policy cannot be updated because AutoRemove is enabled for the container",
    );
    await ok("rm", "-f", "auto");
  });
});

test("twenty updates and renames of one at once: all are done, one after the other", async () => {
  await ok("run", "-d", "--name", "many", "busybox", "sleep", "1000");
  const id = await field("many", ".Id");
  const changes = Array.from({ length: 20 }, (_, index) =>
    index % 4 === 0
      ? engine.call(["rename", id, `many${index}`])
      : engine.call(["update", "--restart", `on-failure:${index}`, id]),
  );
  for (const { exitCode, err } of await Promise.all(changes))
    expect([exitCode, err]).toEqual([0, ""]);
  expect(await field(id, ".HostConfig.RestartPolicy.Name")).toBe("on-failure");
  await ok("rm", "-f", id);
});

test("nothing to change, no such container", async () => {
  const none = await engine.call(["update", "nosuch"]);
  expect([none.exitCode, none.err]).toEqual([
    1,
    expect.stringContaining("you must provide one or more flags when using this command"),
  ]);
  const missing = await engine.call(["update", "-m", "64m", "nosuch"]);
  expect([missing.exitCode, missing.err]).toEqual([1, "mydocker: No such container: nosuch"]);
});

leavesNothingBehind(engine);
