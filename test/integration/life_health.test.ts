/** Health checks: probes in the container, what they say in inspect, ps and events, and that they hold nothing up. */

import { afterEach, describe, expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { leavesNothingBehind, useEngine } from "../helpers/cli.ts";
import { descendants, readStat } from "../helpers/leaks.ts";
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

/** Images of the test that runs. */
const images: string[] = [];

afterEach(async () => {
  const ids = (await ok("ps", "-aq")).split("\n").filter(Boolean);
  if (ids.length > 0) await ok("rm", "-f", ...ids);
  if (images.length > 0) await ok("rmi", ...images.splice(0));
});

interface Health {
  Status: string;
  FailingStreak: number;
  Log: { Start: string; End: string; ExitCode: number; Output: string }[];
}
const healthOf = async (name: string): Promise<Health> =>
  JSON.parse(await field(name, "json .State.Health"));
const until = (name: string, what: string, isSo: (health: Health) => boolean): Promise<Health> =>
  waitFor(`${name} is ${what}`, async () => {
    const health = await healthOf(name);
    return isSo(health) && health;
  });
const status = (name: string): Promise<string> =>
  ok("ps", "-a", "--format", "{{.Names}} {{.Status}}").then(
    (out) => out.split("\n").find((line) => line.startsWith(`${name} `)) ?? "",
  );

/** A container whose probes succeed as long as the file is there. */
async function withGate(name: string, ...options: string[]): Promise<string> {
  const gate = engine.directory(name);
  await ok(
    ...["run", "-d", "--name", name, "-v", `${gate}:/gate`],
    ...["--health-cmd", 'echo "here $(id -u)"; test -e /gate/open', ...options, ...SLEEP],
  );
  return join(gate, "open");
}

describe("probes", () => {
  test("make a container healthy, and unhealthy after as many failures as retries", async () => {
    const gate = await withGate(
      "turns",
      ...["--health-interval=50ms", "--health-retries=2", "-u", "7"],
    );
    expect(JSON.parse(await field("turns", "json .Config.Healthcheck"))).toEqual({
      Test: ["CMD-SHELL", 'echo "here $(id -u)"; test -e /gate/open'],
      Interval: 50_000_000,
      Retries: 2,
    });
    const failed = await until("turns", "unhealthy", ({ Status }) => Status === "unhealthy");
    expect(failed.FailingStreak).toBeGreaterThanOrEqual(2);
    expect(failed.Log[0]).toMatchObject({ ExitCode: 1, Output: "here 7\n" });
    expect(await status("turns")).toMatch(/^turns Up .* \(unhealthy\)$/);
    writeFileSync(gate, "");
    const healthy = await until("turns", "healthy", ({ Status }) => Status === "healthy");
    expect(healthy.FailingStreak).toBe(0);
    expect(await status("turns")).toMatch(/^turns Up .* \(healthy\)$/);
    await until("turns", "known for long", ({ Log }) =>
      Log.every(({ ExitCode }) => ExitCode === 0),
    );
    const { Log } = await healthOf("turns");
    expect(Log).toHaveLength(5);
    const times = Log.flatMap(({ Start, End }) => [Date.parse(Start), Date.parse(End)]);
    expect(times).toEqual(times.toSorted((a, b) => a - b));
    const events = await ok(
      ...["events", "--since", "0", "--until", "0s", "--filter", "container=turns"],
      ...["--format", "{{.Action}}"],
    );
    const changes = events.split("\n").filter((line) => line.startsWith("health_status"));
    expect(changes).toEqual(["health_status: unhealthy", "health_status: healthy"]);
  });

  test("end with the container, which then is not healthy; and begin anew with it", async () => {
    const gate = await withGate("turns", "--health-interval=50ms");
    writeFileSync(gate, "");
    await until("turns", "healthy", ({ Status }) => Status === "healthy");
    expect(await ok("stop", "-t", "0", "turns")).toBe("turns");
    expect((await healthOf("turns")).Status).toBe("unhealthy");
    expect(await status("turns")).toMatch(/^turns Exited \(137\) [^()]*$/);
    await ok("start", "turns");
    expect(["starting", "healthy"]).toContain((await healthOf("turns")).Status);
  });

  test("that fail in the start period say nothing, and follow at the start interval", async () => {
    const gate = await withGate(
      "starts",
      ...["--health-start-period=1h", "--health-start-interval=50ms"],
      ...["--health-interval=1h", "--health-retries=1"],
    );
    const starting = await until("starts", "probed", ({ Log }) => Log.length >= 2);
    expect(starting).toMatchObject({ Status: "starting", FailingStreak: 0 });
    expect(await status("starts")).toMatch(/^starts Up .* \(health: starting\)$/);
    writeFileSync(gate, "");
    await until("starts", "healthy", ({ Status }) => Status === "healthy");
  });

  test("that take too long are killed, with what they said", async () => {
    await ok(
      ...["run", "-d", "--name", "slow", "--health-cmd", "echo said; exec sleep 987"],
      ...["--health-interval=50ms", "--health-timeout=100ms", "--health-retries=1", ...SLEEP],
    );
    const { Log } = await until("slow", "unhealthy", ({ Status }) => Status === "unhealthy");
    expect(Log[0]).toMatchObject({
      ExitCode: -1,
      Output: "Health check exceeded timeout (100ms): said\n",
    });
    // One of them may just run.
    const sleeping = async () =>
      (await ok("top", "slow")).split("\n").filter((line) => line.includes("sleep 987")).length;
    await until("slow", "probed often", ({ FailingStreak }) => FailingStreak > 4);
    expect(await sleeping()).toBeLessThanOrEqual(1);
  });

  test("that write without end are cut, and do not hold the container up", async () => {
    await ok(
      ...["run", "-d", "--name", "loud", "--health-cmd", "yes | head -c 300000; yes >&2 & true"],
      ...["--health-interval=50ms", "busybox", "sh", "-c", "while :; do echo out; sleep 0.1; done"],
    );
    const { Log } = await until("loud", "probed", ({ Log }) => Log.length > 0);
    expect(Log[0]).toMatchObject({ ExitCode: 0, Output: `${"y\n".repeat(2048)}...` });
    const before = (await ok("logs", "loud")).length;
    await waitFor("it goes on", async () => (await ok("logs", "loud")).length > before);
  });

  test("that cannot be executed are failures", async () => {
    const check = "/no/such";
    const image = await withHealthcheck(`HEALTHCHECK --interval=50ms CMD ["${check}"]`);
    await ok("run", "-d", "--name", "cannot", image, "sleep", "1000");
    const { Log } = await until("cannot", "probed", ({ Log }) => Log.length > 0);
    expect(Log[0]?.ExitCode).toBe(-1);
    expect(Log[0]?.Output).toContain(check);
  });

  test("rest while the container is paused", async () => {
    const gate = await withGate("paused", "--health-interval=50ms", "--health-timeout=300ms");
    writeFileSync(gate, "");
    await until("paused", "healthy", ({ Status }) => Status === "healthy");
    await ok("pause", "paused");
    await Bun.sleep(700);
    const before = await healthOf("paused");
    await Bun.sleep(500);
    expect(await healthOf("paused")).toEqual(before);
    expect(before.Status).toBe("healthy");
    expect(await status("paused")).toMatch(/^paused Up .* \(Paused\)$/);
    await ok("unpause", "paused");
    await until(
      "paused",
      "probed again",
      ({ Log }) => Log.at(-1)?.Start !== before.Log.at(-1)?.Start,
    );
  });

  test("that are killed count as failures of theirs, and leave no zombie to the monitor", async () => {
    await ok(
      ...["run", "-d", "--name", "killed", "--health-cmd", "kill -9 $$"],
      ...["--health-interval=50ms", ...SLEEP],
    );
    const { Log } = await until("killed", "probed", ({ FailingStreak }) => FailingStreak >= 3);
    expect(Log[0]?.ExitCode).toBe(137);
    const monitor = readStat(Number(await field("killed", ".State.Pid")))?.parent ?? 0;
    await until("killed", "probed often", ({ FailingStreak }) => FailingStreak >= 8);
    const children = readFileSync(`/proc/${monitor}/task/${monitor}/children`, "utf8");
    expect(children.trim().split(" ").length).toBeLessThanOrEqual(2);
  });
});

/** An image with a shell and a health check. */
async function withHealthcheck(...changes: string[]): Promise<string> {
  const folder = engine.directory("image");
  const name = `checked:${images.length}`;
  images.push(name);
  const made = await engine.bash(
    `mkdir -p bin && cp "$(command -v busybox)" bin/busybox && ln -sf busybox bin/sh && ln -sf busybox bin/sleep &&
     tar -c bin | "$MYDOCKER" import "$@"`,
    { cwd: folder, args: [...changes.flatMap((each) => ["--change", each]), "-", name] },
  );
  expect([made.exitCode, made.err]).toEqual([0, ""]);
  return name;
}

describe("an image's", () => {
  test("is the container's, as far as that says nothing else; --no-healthcheck is none", async () => {
    const image = await withHealthcheck(
      "HEALTHCHECK --interval=50ms --retries=4 CMD busybox echo from the image",
    );
    await ok("run", "-d", "--name", "as-is", "--health-retries=2", image, "sleep", "1000");
    expect(JSON.parse(await field("as-is", "json .Config.Healthcheck"))).toEqual({
      Test: ["CMD-SHELL", "busybox echo from the image"],
      Interval: 50_000_000,
      Retries: 2,
    });
    const { Log } = await until("as-is", "healthy", ({ Status }) => Status === "healthy");
    expect(Log[0]?.Output).toBe("from the image\n");
    await ok("run", "-d", "--name", "without", "--no-healthcheck", image, "sleep", "1000");
    expect(await field("without", "json .Config.Healthcheck.Test")).toBe('["NONE"]');
    expect(await field("without", "json .State")).not.toContain("Health");
    expect(await status("without")).toMatch(/^without Up [^()]*$/);
  });

  test("is looked after in the foreground as well, whose exit code and output are the container's", async () => {
    const image = await withHealthcheck("HEALTHCHECK --interval=50ms CMD true");
    const script = "echo out; echo err >&2; sleep 0.5; exit 7";
    const running = engine.call(["run", "--name", "front", image, "sh", "-c", script]);
    await waitFor("healthy", async () => {
      const { out } = await engine.call(["inspect", "-f", "{{json .State}}", "front"]);
      return out.includes('"Status":"healthy"');
    });
    const { exitCode, out, err } = await running;
    expect([exitCode, out, err]).toEqual([7, "out", "err"]);
    await ok("rm", "front");
    expect((await engine.run(["--health-cmd", "true", "busybox", "echo", "ran"])).out).toBe("ran");
    expect(await ok("ps", "-aq")).toBe("");
  });
});

test("a monitor that is killed in a probe takes it along", async () => {
  await ok(
    ...["run", "-d", "--name", "lost", "--health-cmd", "touch /probed; exec sleep 986"],
    ...["--health-interval=10ms", ...SLEEP],
  );
  await waitFor("probed", async () => (await ok("top", "lost")).includes("sleep 986"));
  const monitor = readStat(Number(await field("lost", ".State.Pid")))?.parent ?? 0;
  process.kill(monitor, "SIGKILL");
  await waitFor("told", async () => (await field("lost", ".State.Status")) === "exited");
  await ok("rm", "lost");
  await waitFor("nothing runs", () => !descendants(process.pid).some((each) => /sleep/.test(each)));
});

test.each<[string[], string]>([
  [["--no-healthcheck", "--health-cmd", "x"], "--no-healthcheck conflicts with --health-* options"],
  [["--health-interval", "1us"], "Interval in Healthcheck cannot be less than 1ms"],
  [["--health-start-period", "1us"], "StartPeriod in Healthcheck cannot be less than 1ms"],
  [["--health-interval", "-1s"], "--health-interval cannot be negative"],
  [["--health-start-interval", "-1s"], "--health-start-interval cannot be negative"],
  [["--health-retries", "-1"], "--health-retries cannot be negative"],
  [
    ["--health-retries", "x"],
    'invalid argument "x" for "--health-retries" flag: strconv.ParseInt: parsing "x": invalid syntax',
  ],
  [
    ["--health-timeout", "x"],
    'invalid argument "x" for "--health-timeout" flag: time: invalid duration "x"',
  ],
])("%j is refused", async (options, why) => {
  const { exitCode, err } = await engine.call(["run", "-d", ...options, ...SLEEP]);
  expect([exitCode, err]).toEqual([125, expect.stringContaining(why)]);
  expect(await ok("ps", "-aq")).toBe("");
});

leavesNothingBehind(engine);
