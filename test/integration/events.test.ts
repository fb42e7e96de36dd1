/** `events`: what happens, without a daemon that could tell. */
import { describe, expect, test } from "bun:test";
import { appendFileSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { leavesNothingBehind, useEngine } from "../helpers/cli.ts";
import { readStat } from "../helpers/leaks.ts";
import { waitFor } from "../helpers/wait.ts";

const engine = useEngine();
const LOG = join(engine.root, "events.jsonl");

async function ok(...args: string[]): Promise<string> {
  const { exitCode, out, err } = await engine.call(args);
  expect([args.join(" "), exitCode, err]).toEqual([args.join(" "), 0, ""]);
  return out;
}

/** What was recorded, by a template. */
const past = (template: string, ...more: string[]): Promise<string> =>
  ok("events", "--since", "1h", "--until", "0s", "--format", template, ...more);

const actionsOf = async (name: string): Promise<string[]> =>
  (await past("{{.Action}}", "--filter", `container=${name}`)).split("\n");

/** The end of what was executed detached is said after it. */
async function waitForDeaths(id: string, count: number): Promise<void> {
  for (let attempt = 0; attempt < 200; attempt++, await Bun.sleep(25)) {
    const actions = await actionsOf(id);
    if (actions.filter((action) => action === "exec_die").length === count) return;
  }
  throw new Error(`no ${count} ends of exec`);
}

describe("what happens to a container", () => {
  test("in the foreground, from create to destroy", async () => {
    expect((await engine.run(["--name", "fore", "busybox", "sh", "-c", "exit 3"])).exitCode).toBe(
      3,
    );
    expect(await actionsOf("fore")).toEqual(["create", "attach", "start", "die", "destroy"]);
    expect(
      await past("{{.Actor.Attributes.exitCode}}", "-f", "event=die", "-f", "container=fore"),
    ).toBe("3");
  });

  test("in the background, whatever is done to it, in order and once each", async () => {
    const id = await ok("create", "--name", "back", "-l", "tier=web", "busybox", "sleep", "1000");
    await ok("start", "back");
    await ok("pause", "back");
    await ok("unpause", "back");
    await ok("exec", "back", "true");
    await ok("exec", "-d", "back", "sh", "-c", "exit 7");
    await waitForDeaths(id, 2);
    await ok("top", "back");
    await ok("rename", "back", "front");
    await ok("update", "--memory", "64m", "front");
    await ok("kill", "-s", "USR1", "front");
    await ok("stop", "-t", "0", "front");
    await ok("restart", "-t", "0", "front");
    await ok("rm", "-f", "front");
    expect(await actionsOf(id)).toEqual([
      ...["create", "start", "pause", "unpause"],
      ...["exec_create: true", "exec_start: true", "exec_die"],
      ...["exec_create: sh -c exit 7", "exec_start: sh -c exit 7", "exec_die"],
      ...["top", "rename", "update", "kill"],
      ...["kill", "die", "stop"],
      ...["start", "restart"],
      ...["kill", "die", "destroy"],
    ]);
    const attributes = (filter: string) =>
      past("{{json .Actor.Attributes}}", "-f", filter, "-f", `container=${id}`);
    const common = { image: "busybox", name: "front", tier: "web" };
    expect(JSON.parse(await attributes("event=rename"))).toEqual({ ...common, oldName: "/back" });
    expect(JSON.parse((await attributes("event=kill")).split("\n")[0] ?? "")).toEqual({
      ...common,
      signal: "10",
    });
  });

  test("whose monitor was killed: the next command says that it died", async () => {
    const id = await ok("run", "-d", "--name", "lost", "busybox", "sleep", "1000");
    const monitor = readStat(Number(await ok("inspect", "-f", "{{.State.Pid}}", "lost")))?.parent;
    process.kill(monitor as number, "SIGKILL");
    await waitFor("the monitor's end", () =>
      ["Z", undefined].includes(readStat(monitor as number)?.state),
    );
    // Its lock goes with the last of its threads.
    await waitFor("it is said", async () => {
      await ok("ps");
      const format = "{{.Action}} {{.Actor.Attributes.exitCode}}";
      return (await past(format, "-f", "event=die", "-f", `container=${id}`)) === "die 137";
    });
    await ok("rm", "lost");
  });
});

describe("images", () => {
  test("that are imported and removed", async () => {
    const archive = join(engine.directory("image"), "empty.tar");
    writeFileSync(archive, new Uint8Array(10240));
    const id = await ok("import", archive, "events:1");
    await ok("tag", "events:1", "events:2");
    await ok("rmi", "events:2");
    await ok("rmi", "events:1");
    expect(await past("{{.Action}} {{.Actor.ID}}", "-f", "type=image", "-f", `image=${id}`)).toBe(
      ["import", "tag", "untag", "untag", "delete"].map((action) => `${action} ${id}`).join("\n"),
    );
  });
});

describe("what is printed", () => {
  test("is Docker's line, with nine digits and sorted attributes", async () => {
    const env = { TZ: "Asia/Kolkata" };
    await engine.run(["--name", "line", "-l", "zone=b", "busybox", "true"]);
    const { out } = await engine.call(
      ["events", "--since", "1h", "--until", "0s", "-f", "event=create", "-f", "container=line"],
      { env },
    );
    expect(out).toMatch(
      /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}\+05:30 container create [0-9a-f]{64} \(image=busybox, name=line, zone=b\)$/,
    );
  });

  test("is Docker's JSON, with every digit of the time", async () => {
    await engine.run(["--name", "json", "busybox", "true"]);
    const line = await past("{{json .}}", "-f", "event=start", "-f", "container=json");
    const { time, timeNano, id, ...event } = JSON.parse(line);
    expect(event).toEqual({
      status: "start",
      from: "busybox",
      Type: "container",
      Action: "start",
      Actor: { ID: id, Attributes: { image: "busybox", name: "json" } },
      scope: "local",
    });
    expect(line).toContain(`"time":${time},"timeNano":${time}`);
    expect(String(timeNano)).toHaveLength(19);
    expect(await past("json", "-f", "event=start", "-f", "container=json")).toBe(line);
  });

  test("is one line, whatever bytes are in a label", async () => {
    await engine.run(["--name", "odd", "-l", "a=b\nc\u001b[2J", "busybox", "true"]);
    const args = ["events", "--since", "1h", "--until", "0s", "-f", "event=die", "-f"];
    expect(await ok(...args, "container=odd")).toContain("(a=b\\nc\\x1b[2J, execDuration=0,");
  });
});

describe("filters", () => {
  test("of one key are alternatives, those of several keys must all match", async () => {
    await engine.run(["--name", "first", "-l", "group=x", "busybox", "true"]);
    await engine.run(["--name", "second", "-l", "group=y", "busybox", "true"]);
    const shown = (...filters: string[]) =>
      past("{{.Action}}:{{.Actor.Attributes.name}}", ...filters.flatMap((each) => ["-f", each]));
    expect(await shown("event=create", "event=die", "label=group=x")).toBe(
      "create:first\ndie:first",
    );
    expect(await shown("event=create", "label=group")).toBe("create:first\ncreate:second");
    expect(await shown("label=group", "event=die", "image=busybox", "scope=local")).toBe(
      "die:first\ndie:second",
    );
    expect(await shown("label=group", "type=image")).toBe("");
  });

  test("that there are not are refused", async () => {
    for (const [filter, code, said] of [
      ["nonsense=1", 1, "invalid filter 'nonsense'"],
      ["nonsense", 125, "bad format of filter (expected name=value)"],
    ] as const) {
      const { exitCode, err } = await engine.call(["events", "-f", filter]);
      expect([exitCode, err.includes(said), err.split("\n").length]).toEqual([code, true, 1]);
    }
  });
});

describe("following", () => {
  test("shows what happens from then on, until --until, also when nobody had recorded anything yet", async () => {
    const fresh = { MYDOCKER_ROOT: engine.directory("fresh-root") };
    const events = engine.start(["events", "--format", "{{.Action}}"], { env: fresh });
    await Bun.sleep(100); // it says nothing when it begins to listen
    expect((await engine.call(["run", "--rm", "busybox", "true"], { env: fresh })).exitCode).toBe(
      0,
    );
    await events.waitForOutput(/destroy/);
    events.kill("SIGKILL");
    await events.end();
    expect(events.output().trim().split("\n")).toEqual([
      "create",
      "attach",
      "start",
      "die",
      "destroy",
    ]);
    const over = await engine.call(["events", "--until", "1s"], { env: fresh });
    expect([over.exitCode, over.err]).toEqual([0, ""]);
  });

  test("ends when nobody reads", async () => {
    const { exitCode } = await engine.bash(
      'timeout 20 bash -c "$MYDOCKER events --since 1h | head -n 1 >/dev/null"',
    );
    expect(exitCode).toBe(0);
  });
});

describe("the log", () => {
  test("with half an event of a writer that was killed loses no other one", async () => {
    await engine.run(["--name", "before", "busybox", "true"]);
    appendFileSync(LOG, '\n{"Type":"container","Action":"cre');
    await engine.run(["--name", "after", "busybox", "true"]);
    const names = await past("{{.Actor.Attributes.name}}", "-f", "event=create");
    expect(names.split("\n").slice(-2)).toEqual(["before", "after"]);
  });

  test("that is full is begun anew by one of those who write, and no event is lost meanwhile", async () => {
    const filler = `\n${JSON.stringify({ Type: "filler", text: "x".repeat(100_000) })}\n`;
    appendFileSync(LOG, filler.repeat(79));
    const follower = engine.start([
      "events",
      "-f",
      "event=create",
      "--format",
      "{{.Actor.Attributes.name}}",
    ]);
    await Bun.sleep(100);
    appendFileSync(LOG, filler.repeat(2));
    const names = Array.from({ length: 24 }, (_, number) => `full${number}`);
    await Promise.all(names.map((name) => engine.run(["--name", name, "busybox", "true"])));
    expect(statSync(`${LOG}.1`).size).toBeGreaterThan(8_000_000);
    expect(statSync(LOG).size).toBeLessThan(100_000);
    const shown = (await past("{{.Actor.Attributes.name}}", "-f", "event=create")).split("\n");
    expect(shown.filter((name) => name.startsWith("full")).sort()).toEqual([...names].sort());
    await waitFor("the follower", () => follower.output().trim().split("\n").length === 24);
    expect(follower.output().trim().split("\n").sort()).toEqual([...names].sort());
    follower.kill("SIGKILL");
    await follower.end();
    expect(readFileSync(LOG, "utf8")).not.toContain("filler");
    rmSync(`${LOG}.1`);
  });
});

leavesNothingBehind(engine);
