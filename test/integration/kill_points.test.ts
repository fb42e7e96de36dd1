/**
 * SIGKILL at a system call of a command, of its monitor or of init: no corrupt state, no leak, and
 * the commands that come next work.
 *
 * There are some thousands of such points. A run tries some of each command, 204 in all: half of them
 * among the calls that change something or wait for others. They are the same each time; another seed
 * takes others, and everything can be tried:
 *
 *   MYDOCKER_KILL_SEED=123 ./test/run kill_points
 *   MYDOCKER_KILL_POINTS=all ./test/run kill_points      # hours; a number: so many of each command
 */

import { afterAll, afterEach, describe, expect } from "bun:test";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { P_PID, WNOHANG, waitExit } from "../../src/linux/process.ts";
import { leavesNothingBehind, useEngine } from "../helpers/cli.ts";
import {
  choose,
  killedAt,
  POINTS,
  type Point,
  pointsOf,
  randomNumbers,
  SEED,
} from "../helpers/kill_points.ts";
import { findLeaks, type Snapshot, takeSnapshot } from "../helpers/leaks.ts";
import { program, testIf } from "../helpers/requires.ts";
import { waitFor } from "../helpers/wait.ts";

const engine = useEngine({
  before: async () => {
    await engine.call(["volume", "create", "first"]);
    await engine.call(["volume", "rm", "first"]);
  },
});
/** Of each command, unless said otherwise; crash.test.ts tries all calls of `run` that change something. */
const USUAL = 12;

/** Of each command the same, whichever commands are tried. */
let random = randomNumbers(SEED);

async function ok(...args: string[]): Promise<string> {
  const { exitCode, out, err } = await engine.call(args);
  expect([args.join(" "), exitCode, err]).toEqual([args.join(" "), 0, ""]);
  return out;
}

afterEach(async () => {
  const { out } = await engine.call(["ps", "-aq"]);
  const ids = out.split("\n").filter(Boolean);
  if (ids.length > 0) await engine.call(["rm", "-f", "-v", ...ids]);
});

/**
 * What ran in a container, and whose parent was killed, is our child now (helpers/leaks.ts). The
 * first process of a pid namespace ends when all others have been waited for, as an init does it.
 */
function reapOrphans(): void {
  for (const pid of children(process.pid)) {
    const status = readStatus(pid);
    const isOfContainer = /^NSpid:\t\d+\t\d/m.test(status);
    if (isOfContainer && /^State:\tZ/m.test(status)) waitExit(P_PID, pid, WNOHANG);
  }
}

const children = (pid: number): number[] =>
  readdirSync(`/proc/${pid}/task`).flatMap((thread) =>
    readStatus(`${pid}/task/${thread}`, "children").split(" ").filter(Boolean).map(Number),
  );

function readStatus(of: number | string, file = "status"): string {
  try {
    return readFileSync(`/proc/${of}/${file}`, "latin1");
  } catch {
    return "";
  }
}

const reaper = setInterval(reapOrphans, 50);
afterAll(() => clearInterval(reaper));

interface Scenario {
  readonly args: readonly string[];
  /** What comes before it each time, with a container "point". */
  readonly prepare?: readonly (readonly string[])[];
  /** A container that has been reported made, and is to be there whatever was killed. */
  readonly makes?: true;
}

const SLEEP = ["busybox", "sleep", "1000"];
const CREATE = ["create", "--name", "point", ...SLEEP];
const RUN = ["run", "-d", "--name", "point", ...SLEEP];
const FILE = "/etc/hostname";

const SCENARIOS: Readonly<Record<string, Scenario>> = {
  "run -d, until all is over": { args: [...RUN.slice(0, -1), "0.1"], makes: true },
  "run -d with a volume and a restart policy": {
    args: [
      "run",
      "-d",
      "--restart=on-failure:1",
      "-v",
      "/data",
      "--name",
      "point",
      "busybox",
      "false",
    ],
    makes: true,
  },
  "run -d with a health check": {
    args: ["run", "-d", "--health-cmd=true", "--health-interval=20ms", ...RUN.slice(2, -1), "0.3"],
    makes: true,
  },
  "run --rm": { args: ["run", "--rm", "--name", "point", "busybox", "true"] },
  create: { args: CREATE, makes: true },
  start: { args: ["start", "point"], prepare: [[...CREATE.slice(0, -1), "0.1"]], makes: true },
  exec: { args: ["exec", "point", "true"], prepare: [RUN], makes: true },
  "exec -d": { args: ["exec", "-d", "point", "sleep", "0.05"], prepare: [RUN], makes: true },
  stop: { args: ["stop", "point"], prepare: [RUN], makes: true },
  restart: { args: ["restart", "point"], prepare: [[...RUN.slice(0, -1), "0.3"]], makes: true },
  "rm -f -v": {
    args: ["rm", "-f", "-v", "point"],
    prepare: [["run", "-d", "-v", "/data", "--name", "point", ...SLEEP]],
  },
  rm: { args: ["rm", "point"], prepare: [CREATE] },
  rename: { args: ["rename", "point", "other"], prepare: [CREATE], makes: true },
  update: { args: ["update", "-m", "64m", "point"], prepare: [CREATE], makes: true },
  kill: { args: ["kill", "point"], prepare: [RUN], makes: true },
  commit: { args: ["commit", "point", "committed"], prepare: [CREATE], makes: true },
  cp: { args: ["cp", FILE, "point:/copied"], prepare: [CREATE], makes: true },
};

/** Everything that is there says what it is, and it is so. */
async function isSound(where: string, made: boolean): Promise<void> {
  const listed = await engine.call(["ps", "-a", "--no-trunc", "--format", "{{.ID}} {{.State}}"]);
  expect([where, listed.exitCode, listed.err]).toEqual([where, 0, ""]);
  const lines = listed.out.split("\n").filter(Boolean);
  if (made) expect([where, lines.length]).toEqual([where, 1]);
  for (const line of lines) {
    const [id = "", state = ""] = line.split(" ");
    expect([where, ["created", "running", "exited", "restarting"]]).toEqual([
      where,
      expect.arrayContaining([state]),
    ]);
    const inspected = await engine.call(["inspect", id]);
    expect([where, inspected.exitCode, inspected.err]).toEqual([where, 0, ""]);
    const { State } = JSON.parse(inspected.out)[0];
    if (State.Status !== "running") continue;
    // What has ended counts as running until its end is on record.
    await waitFor(`${where}: ${id} runs, or has ended`, async () => {
      if (existsSync(`/proc/${State.Pid}`)) return true;
      const { out } = await engine.call(["inspect", "-f", "{{.State.Pid}} {{.State.Status}}", id]);
      return out !== `${State.Pid} running`;
    });
  }
}

/** What somebody might do next; each works, or says in one line why not. */
const NEXT: readonly (readonly string[])[] = [
  ["start", "point"],
  ["stop", "-t", "0", "point"],
  ["exec", "point", "true"],
  ["logs", "point"],
  ["rm", "point"],
  ["run", "-d", "--name", "point", "busybox", "true"],
];

async function goesOn(where: string): Promise<void> {
  const args = NEXT[Math.floor(random() * NEXT.length)] as readonly string[];
  const { exitCode, err } = await engine.call(args);
  const what = `${where}, then ${args.join(" ")}`;
  expect([what, [0, 1, 125]]).toEqual([what, expect.arrayContaining([exitCode])]);
  if (exitCode === 0) expect([what, err]).toEqual([what, ""]);
  else expect([what, err]).toEqual([what, expect.stringMatching(/^mydocker: [^\n]*$/)]);
}

/** Removes every container, and sees to it that the machine is as before. */
async function removesAll(before: Snapshot, where: string): Promise<void> {
  const ids = (await ok("ps", "-aq")).split("\n").filter(Boolean);
  if (ids.length > 0) {
    const removed = await engine.call(["rm", "-f", "-v", ...ids]);
    expect([where, removed.exitCode, removed.err]).toEqual([where, 0, ""]);
  }
  const committed = (await ok("images", "-q", "committed")).split("\n").filter(Boolean);
  if (committed.length > 0) await ok("rmi", ...committed);
  const volumes = (await ok("volume", "ls", "-q")).split("\n").filter(Boolean);
  if (volumes.length > 0) await ok("volume", "rm", ...volumes);
  const leaks = () => findLeaks(before, takeSnapshot(engine));
  await waitFor(
    () => `${where}: no leaks; left: ${leaks().join("\n")}`,
    () => leaks().length === 0,
    5000,
  );
}

async function killAt(scenario: Scenario, { call, when }: Point, before: Snapshot): Promise<void> {
  const where = `MYDOCKER_KILL_SEED=${SEED}: ${scenario.args.join(" ")}, at ${call} number ${when}`;
  for (const args of scenario.prepare ?? []) await ok(...args);
  const { exitCode, out } = await killedAt(engine, { call, when }, scenario.args);
  const wasMade = scenario.prepare !== undefined || (exitCode === 0 && /^[0-9a-f]{64}$/.test(out));
  await isSound(where, scenario.makes === true && wasMade);
  await goesOn(where);
  await removesAll(before, where);
}

describe(`killed at system calls, with the seed ${SEED}`, () => {
  for (const [name, scenario] of Object.entries(SCENARIOS)) {
    testIf(
      [program("strace")],
      name,
      async () => {
        random = randomNumbers(SEED + Bun.hash.crc32(name));
        const before = takeSnapshot(engine);
        for (const args of scenario.prepare ?? []) await ok(...args);
        const points = await pointsOf(engine, scenario.args);
        await removesAll(before, "not killed");
        expect(points.length).toBeGreaterThan(100);
        for (const point of choose(points, random, USUAL)) await killAt(scenario, point, before);
      },
      POINTS === undefined ? 120_000 : 7_200_000,
    );
  }
});

leavesNothingBehind(engine);
