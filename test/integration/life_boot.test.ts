/** `system boot`, `system shutdown` and `system unit`: which containers run after a reboot. */

import { describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { EXECUTABLE, leavesNothingBehind, useEngine } from "../helpers/cli.ts";
import { readStat } from "../helpers/leaks.ts";
import { program, testIf } from "../helpers/requires.ts";
import { waitFor } from "../helpers/wait.ts";

const engine = useEngine();
const SLEEP = ["busybox", "sleep", "1000"];

async function ok(...args: string[]): Promise<string> {
  const { exitCode, out, err } = await engine.call(args);
  expect([args.join(" "), exitCode, err]).toEqual([args.join(" "), 0, ""]);
  return out;
}

const field = (name: string, template: string): Promise<string> =>
  ok("inspect", "-f", `{{${template}}}`, name);
const running = async (): Promise<string[]> =>
  (await ok("ps", "--format", "{{.Names}}")).split("\n").filter(Boolean).sort();
const removeAll = async (): Promise<void> => {
  const ids = (await ok("ps", "-aq")).split("\n").filter(Boolean);
  if (ids.length > 0) await ok("rm", "-f", ...ids);
};

/** Every process of the containers is gone, and /run is empty: nobody had time to write anything. */
async function powerFailure(): Promise<void> {
  const ids = (await ok("ps", "-q")).split("\n").filter(Boolean);
  for (const id of ids) {
    const pid = Number(await field(id, ".State.Pid"));
    const monitor = readStat(pid)?.parent ?? 0;
    process.kill(monitor, "SIGKILL");
    await waitFor("dead", () => [monitor, pid].every((each) => isGone(each)));
  }
  for (const entry of readdirSync(engine.runFolder)) {
    rmSync(join(engine.runFolder, entry), { recursive: true });
  }
}

const isGone = (pid: number): boolean => ["Z", undefined].includes(readStat(pid)?.state);

/** In clock ticks since boot (proc_pid_stat(5)); no name in the way. */
const startTimeOf = (pid: number): number =>
  Number(
    readFileSync(`/proc/${pid}/stat`, "latin1")
      .replace(/^.*\) /s, "")
      .split(" ")[19],
  );

/** One of each policy that runs, and one of each that was stopped. */
async function oneOfEach(): Promise<void> {
  for (const policy of ["no", "always", "unless-stopped", "on-failure"]) {
    const run = (name: string) => ok("run", "-d", "--restart", policy, "--name", name, ...SLEEP);
    await run(`${policy}-runs`);
    await run(`${policy}-stopped`);
    await ok("stop", `${policy}-stopped`);
  }
  await ok("create", "--restart", "always", "--name", "never-started", ...SLEEP);
  await ok("run", "-d", "--restart", "on-failure:2", "--name", "gave-up", "busybox", "false");
  await waitFor("given up", async () => (await field("gave-up", ".State.Status")) === "exited");
}

describe("after a power failure", () => {
  test("nothing is called running, and boot starts what its policy says", async () => {
    await oneOfEach();
    await powerFailure();
    expect(await running()).toEqual([]);
    expect(await field("no-runs", ".State.Status}} {{.State.ExitCode")).toBe("exited 137");
    // In the order in which they were made. As with Docker's daemon, always is also for one that was stopped.
    const due = ["always-runs", "always-stopped", "unless-stopped-runs", "on-failure-runs"];
    expect(await ok("system", "boot")).toBe(due.join("\n"));
    expect(await running()).toEqual(due.toSorted());
    expect(await field("always-runs", ".RestartCount")).toBe("0");
  });

  test("a further boot starts nothing that runs or that was stopped since", async () => {
    expect(await ok("system", "boot")).toBe("");
    await ok("stop", "always-runs", "unless-stopped-runs");
    expect(await ok("system", "boot")).toBe("");
  });

  test("but what was lost since", async () => {
    const pid = Number(await field("on-failure-runs", ".State.Pid"));
    process.kill(readStat(pid)?.parent ?? 0, "SIGKILL");
    await waitFor("dead", () => isGone(pid));
    expect(await ok("system", "boot")).toBe("on-failure-runs");
  });

  test("of four at once each container is started by one", async () => {
    await powerFailure();
    const all = await Promise.all(Array.from({ length: 4 }, () => engine.call(["system", "boot"])));
    expect(all.map(({ exitCode, err }) => [exitCode, err])).toEqual(all.map(() => [0, ""]));
    expect(
      all
        .flatMap(({ out }) => out.split("\n"))
        .filter(Boolean)
        .sort(),
    ).toEqual(["always-runs", "always-stopped", "on-failure-runs"]);
    await removeAll();
  });

  test("one that does not start is told, and does not keep the others", async () => {
    const source = engine.directory("source");
    const mount = ["--mount", `type=bind,src=${source},dst=/m`];
    await ok("run", "-d", "--restart", "always", "--name", "cannot", ...mount, ...SLEEP);
    await ok("run", "-d", "--restart", "always", "--name", "can", ...SLEEP);
    await powerFailure();
    rmSync(source, { recursive: true });
    const { exitCode, out, err } = await engine.call(["system", "boot"]);
    expect([exitCode, out]).toEqual([1, "can"]);
    expect(err).toMatch(/^mydocker: .*source.*$/);
    await removeAll();
  });

  test("with a run directory that stayed, a stranger with the pid and start time is left alone", async () => {
    const stranger = Bun.spawn(["sleep", "1000"]);
    engine.track(stranger);
    await ok("run", "-d", "--restart", "always", "--name", "again", ...SLEEP);
    const owner = join(engine.runFolder, "owners", await field("again", ".Id"));
    const record = JSON.parse(readFileSync(owner, "utf8"));
    await powerFailure();
    const startTime = startTimeOf(stranger.pid);
    const process = { ...record.process, pid: stranger.pid, startTime, bootId: "0".repeat(36) };
    expect(Object.keys(record.process).toSorted()).toEqual(Object.keys(process).toSorted());
    mkdirSync(join(engine.runFolder, "owners"));
    writeFileSync(owner, JSON.stringify({ ...record, process }));
    expect(await running()).toEqual([]);
    expect(startTimeOf(stranger.pid)).toBe(startTime);
    expect(readStat(stranger.pid)?.state).toBe("S");
    stranger.kill();
    await removeAll();
  });

  test("a damaged container does not keep the others", async () => {
    await ok("run", "-d", "--restart", "always", "--name", "can", ...SLEEP);
    const id = await ok("create", "--restart", "always", ...SLEEP);
    await powerFailure();
    writeFileSync(join(engine.root, "containers", id, "container.json"), "{");
    expect((await engine.call(["system", "boot"])).out).toBe("can");
    expect((await engine.call(["rm", "-f", id, "can"])).exitCode).toBe(0);
  });
});

describe("a shutdown", () => {
  test("stops all at once, with their signal, and the boot starts what ran", async () => {
    await oneOfEach();
    const script =
      'trap "sleep 1; echo bye; exit 0" TERM; echo ready; while :; do sleep 0.05; done';
    for (const name of ["slow", "slow2", "slow3"]) {
      await ok("run", "-d", "--restart=always", "--name", name, "busybox", "sh", "-c", script);
      await waitFor("ready", async () => (await ok("logs", name)) === "ready");
    }
    const attached = engine.start([
      "run",
      "--rm",
      "busybox",
      "sh",
      "-c",
      "echo ready; exec sleep 1000",
    ]);
    await attached.waitForOutput(/ready/);
    const { exitCode, out, err } = await engine.call(["system", "shutdown"]);
    expect([exitCode, err]).toEqual([0, ""]);
    expect(out.split("\n")).toHaveLength(8);
    await attached.end();
    expect(await running()).toEqual([]);
    expect(await ok("logs", "slow3")).toBe("ready\nbye");
    await powerFailure();
    // As with Docker, on-failure is not for what ended well, and 137 is a failure.
    expect((await ok("system", "boot")).split("\n").sort()).toEqual([
      "always-runs",
      "always-stopped",
      "on-failure-runs",
      "slow",
      "slow2",
      "slow3",
      "unless-stopped-runs",
    ]);
  });

  test("that is called off: boot starts them again", async () => {
    const before = await running();
    expect((await engine.call(["system", "shutdown"])).exitCode).toBe(0);
    expect(await running()).toEqual([]);
    expect((await engine.call(["system", "boot"])).exitCode).toBe(0);
    expect(await running()).toEqual(before);
    await removeAll();
  });

  test("without containers does nothing", async () => {
    expect(await ok("system", "shutdown")).toBe("");
    expect(existsSync(join(engine.runFolder, "booted"))).toBe(false);
  });
});

describe("the unit", () => {
  testIf([program("systemd-analyze")], "is one that systemd understands", async () => {
    const folder = engine.directory("units");
    const file = join(folder, "mydocker.service");
    for (const root of ["/var/lib/mydocker", `${folder}/a "b' c%d\\e`]) {
      const { out } = await engine.call(["system", "unit"], { env: { MYDOCKER_ROOT: root } });
      writeFileSync(file, `${out}\n`);
      const verified = await engine.exec(["systemd-analyze", "verify", file], {});
      expect([root, verified.exitCode, verified.err]).toEqual([root, 0, ""]);
    }
  });

  test("names this executable, and directories that are not the usual ones", async () => {
    const unit = await ok("system", "unit");
    expect(unit).toContain(`\nExecStart=${EXECUTABLE} system boot\n`);
    expect(unit).toContain(`\nExecStop=${EXECUTABLE} system shutdown\n`);
    expect(unit).toContain(`\nEnvironment=MYDOCKER_ROOT=${engine.root}\n`);
    const usual = await engine.call(["system", "unit"], {
      env: { MYDOCKER_ROOT: "", MYDOCKER_RUN: "" },
    });
    expect(usual.out).not.toContain("Environment");
  });
});

leavesNothingBehind(engine);
