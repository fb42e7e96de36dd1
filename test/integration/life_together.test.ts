/** Containers in the background, many at once, and many commands for the same few. */

import { expect, test } from "bun:test";
import { readdirSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { leavesNothingBehind, type Result, useEngine } from "../helpers/cli.ts";

const engine = useEngine({
  before: async () => {
    await engine.call(["volume", "create", "first"]);
    await engine.call(["volume", "rm", "first"]);
  },
});

async function ok(...args: string[]): Promise<string> {
  const { exitCode, out, err } = await engine.call(args);
  expect([args.join(" "), exitCode, err]).toEqual([args.join(" "), 0, ""]);
  return out;
}

const atOnce = (count: number, args: (index: number) => readonly string[]): Promise<Result[]> =>
  Promise.all(Array.from({ length: count }, (_, index) => engine.call(args(index))));

test("100 run -d at once: each has an id, a name and a process of its own", async () => {
  const results = await atOnce(100, () => ["run", "-d", "busybox", "sleep", "1000"]);
  expect(results.filter(({ exitCode, err }) => exitCode !== 0 || err !== "")).toEqual([]);
  const ids = results.map(({ out }) => out).sort();
  expect(new Set(ids).size).toBe(100);
  const listed = await ok("ps", "--no-trunc", "--format", "{{.ID}} {{.Names}}");
  const rows = listed.split("\n").map((line) => line.split(" "));
  expect(rows.map(([id]) => id ?? "").sort()).toEqual(ids);
  expect(new Set(rows.map(([, name]) => name)).size).toBe(100);
  const pids = (await ok("inspect", "-f", "{{.State.Pid}}", ...ids)).split("\n");
  expect(new Set(pids).size).toBe(100);
  await ok("rm", "-f", ...ids);
}, 60_000);

test.each([[["create"]], [["run", "-d"]]])(
  "of 100 removals of one container by id at once, one says that it removed it: %j",
  async (how) => {
    const id = await ok(...how, "busybox", "sleep", "1000");
    const force = how[0] === "run" ? ["-f"] : [];
    const results = await atOnce(100, () => ["rm", ...force, id]);
    expect(results.filter(({ out }) => out === id)).toHaveLength(1);
    for (const { exitCode, err } of results.filter(({ out }) => out !== id)) {
      expect(err).toMatch(
        /^mydocker: (No such container: |removal of container )[0-9a-f]{64}( is already in progress)?$/,
      );
      expect(exitCode).toBe(force.length > 0 && err.includes("No such") ? 0 : 1);
    }
    expect(await ok("ps", "-aq")).toBe("");
  },
  60_000,
);

test("of 20 starts of one container at once all succeed, and it runs once", async () => {
  await ok("create", "--name", "one", "busybox", "sh", "-c", "echo started; sleep 1000");
  const results = await atOnce(20, () => ["start", "one"]);
  expect(results.map(({ exitCode, out, err }) => [exitCode, out, err])).toEqual(
    results.map(() => [0, "one", ""]),
  );
  expect(await ok("logs", "one")).toBe("started");
  await ok("rm", "-f", "one");
});

const NAMES = ["one", "two", "three"];
const SLEEPS = ["busybox", "sh", "-c", "trap 'exit 0' TERM; sleep 0.3 & wait; exit 3"];

/** What somebody may do to a container of this name. */
const OPERATIONS: readonly ((name: string) => readonly string[])[] = [
  (name) => ["run", "-d", "--name", name, ...SLEEPS],
  (name) => ["run", "-d", "--restart=on-failure", "--name", name, ...SLEEPS],
  (name) => ["run", "-d", "--rm", "--name", name, "-v", "/data", ...SLEEPS],
  (name) => ["run", "-d", "--health-cmd=true", "--health-interval=50ms", "--name", name, ...SLEEPS],
  (name) => ["create", "--name", name, ...SLEEPS],
  (name) => ["start", name],
  (name) => ["stop", "-t", "1", name],
  (name) => ["restart", "-t", "0", name],
  (name) => ["kill", name],
  (name) => ["pause", name],
  (name) => ["unpause", name],
  (name) => ["exec", name, "true"],
  (name) => ["rename", name, name === "one" ? "two" : "one"],
  (name) => ["update", "--restart=no", name],
  (name) => ["logs", name],
  (name) => ["top", name],
  (name) => ["inspect", name],
  (name) => ["rm", name],
  (name) => ["rm", "-f", name],
  () => ["ps", "-a"],
];

/** Why one of these may fail when others do something to the same container. */
const EXPECTED = new RegExp(
  [
    "No such (container|object): ",
    'The container name "/\\w+" is already in use by container',
    "is (not running|already paused|not paused|restarting|running|paused)",
    "cannot start a paused container",
    "removal of container \\w+ is already in progress",
    "same name as its current name",
    "Restart policy cannot be updated because AutoRemove is enabled",
    "Container \\w+ is not paused",
    "container not running",
    "was removed while it started",
  ].join("|"),
);

test("random commands for three containers, eight at a time: no deadlock, no duplicate, no surprise", async () => {
  const seed = Math.floor(Math.random() * 1e6);
  let state = seed;
  const random = (below: number): number => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff;
    return Math.floor((state / 0x80000000) * below);
  };
  const surprises: string[] = [];
  const worker = async () => {
    for (let round = 0; round < 20; round++) {
      const name = NAMES[random(NAMES.length)] as string;
      const args = OPERATIONS[random(OPERATIONS.length)]?.(name) ?? [];
      // The watchdog: whatever takes 30 s throws.
      const { exitCode, err, signal } = await engine.call(args);
      if (exitCode === 0 && err === "") continue;
      const isExpected = [0, 1, 125, 137].includes(exitCode ?? -1) && EXPECTED.test(err);
      const died = exitCode === 137 && err === "" && args[0] === "exec"; // with its container
      if (!isExpected && !died) surprises.push(`${args.join(" ")}: ${exitCode ?? signal} ${err}`);
      if (err.split("\n").length > 1) surprises.push(`${args.join(" ")}: ${err}`);
    }
  };
  await Promise.all(Array.from({ length: 8 }, worker));
  expect([seed, surprises]).toEqual([seed, []]);
  const links = readdirSync(join(engine.root, "names"));
  const owners = links.map((name) => readlinkSync(join(engine.root, "names", name)));
  expect(new Set(owners).size).toBe(owners.length);
  const listed = (await ok("ps", "-a", "--format", "{{.Names}}")).split("\n").filter(Boolean);
  expect(listed.sort()).toEqual(links.sort());
  if (listed.length > 0) await ok("rm", "-f", ...listed);
}, 120_000);

leavesNothingBehind(engine);
