/** SIGKILL at each call of a command that makes, fills or removes volumes: none is lost, left behind, or half of one. */

import { describe, expect } from "bun:test";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { EXECUTABLE, leavesNothingBehind, useEngine } from "../helpers/cli.ts";
import { program, testIf } from "../helpers/requires.ts";
import { archive } from "../helpers/tar_builder.ts";

const engine = useEngine({
  before: async () => {
    const file = join(engine.directory("archives"), "filled.tar");
    const busybox = readFileSync("/bin/busybox");
    const members = ["a", "b", "sub/c"].map((name) => ({ name: `data/${name}`, data: name }));
    writeFileSync(file, archive({ name: "bin/busybox", data: busybox, mode: 0o755 }, ...members));
    await ok("import", file, "filled");
    await ok("volume", "create", "before");
    await ok("volume", "rm", "before");
  },
});

async function ok(...args: string[]): Promise<string> {
  const { exitCode, out, err } = await engine.call(args);
  expect([args.join(" "), exitCode, err]).toEqual([args.join(" "), 0, ""]);
  return out;
}

const FILES = ["a", "b", "sub", "sub/c"];
const folder = () => join(engine.root, "volumes");
/** What is in a volume; undefined when there is none. */
const content = (name: string): string[] | undefined => {
  const data = join(folder(), name, "_data");
  return existsSync(join(folder(), name))
    ? readdirSync(data, { recursive: true, encoding: "utf8" }).sort()
    : undefined;
};
const runs = [
  "run",
  "--rm",
  "--network",
  "none",
  "-v",
  "raced:/data",
  "filled",
  "/bin/busybox",
  "true",
];

/** Calls that change something. Names that an architecture lacks are skipped by the question mark. */
const CALLS = "mkdir mkdirat rename renameat renameat2 unlink unlinkat rmdir flock fsync syncfs";
const traced = CALLS.split(" ")
  .map((call) => `?${call}`)
  .join(",");

/** How often a command makes each call. */
async function countCalls(args: readonly string[]): Promise<[call: string, count: number][]> {
  const trace = join(engine.directory("trace"), "trace");
  const strace = ["strace", "-qq", "-o", trace, "-e", `trace=${traced}`];
  const { exitCode } = await engine.exec([...strace, EXECUTABLE, ...args], {});
  expect(exitCode).toBe(0);
  const counts = new Map<string, number>();
  for (const [, call = ""] of readFileSync(trace, "latin1").matchAll(/^([a-z0-9]+)\(/gm))
    counts.set(call, (counts.get(call) ?? 0) + 1);
  return [...counts];
}

/**
 * @param prepare makes the same state each time
 * @param check of what is left, when the next command has been there
 * @param only at these calls
 */
async function killEverywhere(
  args: readonly string[],
  prepare: () => Promise<void>,
  check: (where: string) => Promise<void>,
  only = /./,
): Promise<void> {
  await prepare();
  let killed = 0;
  const counts = await countCalls(args);
  for (const [call, count] of counts.filter(([name]) => only.test(name))) {
    for (let when = 1; when <= count; when++) {
      const where = `${args.join(" ")}: ${call} number ${when}`;
      await prepare();
      const inject = `inject=${call}:signal=SIGKILL:when=${when}`;
      const strace = ["strace", "-qq", "-o", "/dev/null", "-e", `trace=${call}`, "-e", inject];
      const { exitCode } = await engine.exec([...strace, EXECUTABLE, ...args], {});
      if (exitCode !== 0) killed++;
      await ok("volume", "ls");
      expect([where, existsSync(join(folder(), ".tmp"))]).toEqual([where, false]);
      await check(where);
    }
  }
  expect(killed).toBeGreaterThan(5);
}

const gone = async () => {
  await ok("volume", "rm", "-f", "raced");
};
const full = async () => {
  await ok(...runs);
};

describe("killed at each call", () => {
  testIf([program("strace")], "volume create makes a whole one or none", async () => {
    await killEverywhere(["volume", "create", "--label", "a=b", "raced"], gone, async (where) => {
      const found = content("raced");
      if (found === undefined) return;
      const labels = await ok("volume", "inspect", "-f", "{{json .Labels}}", "raced");
      expect([where, labels, found]).toEqual([where, '{"a":"b"}', []]);
    });
  });

  testIf([program("strace")], "volume rm leaves all of it or nothing", async () => {
    await killEverywhere(["volume", "rm", "raced"], full, async (where) => {
      expect([where, content("raced") ?? FILES]).toEqual([where, FILES]);
    });
  });

  testIf([program("strace")], "volume prune does, too", async () => {
    await killEverywhere(["volume", "prune", "-af"], full, async (where) => {
      expect([where, content("raced") ?? FILES]).toEqual([where, FILES]);
    });
  });

  testIf([program("strace")], "run fills a volume with all or nothing", async () => {
    await killEverywhere(
      runs,
      gone,
      async (where) => {
        const found = content("raced") ?? [];
        if (found.length > 0) expect([where, found]).toEqual([where, FILES]);
        expect(await ok("ps", "-aq")).toBe("");
        await full();
        expect([where, content("raced")]).toEqual([where, FILES]);
      },
      /^(rename|renameat|renameat2|syncfs|flock)$/,
    );
    await gone();
  });
});

leavesNothingBehind(engine);
