/** A process that is made in its cgroup of v2, and what is done where that cannot be. */
import { afterAll, describe, expect } from "bun:test";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmdirSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { readLayout } from "../../src/cgroups/layout.ts";
import { leavesNothingBehind, useEngine } from "../helpers/cli.ts";
import { program, root, testIf } from "../helpers/requires.ts";

const engine = useEngine();
const { v2, mode } = readLayout();
const hasV2 = v2 === undefined ? "no cgroup v2 mount" : undefined;
const onlyV2 = mode === "v2" ? undefined : "not cgroup v2 alone";
const onV1 = mode === "v2" ? "no cgroup v1" : undefined;

const parent = v2 === undefined ? "" : mkdtempSync(join(v2.mountPoint, "mydocker-test-"));
const made: string[] = [];
afterAll(() => {
  for (const path of made.reverse()) rmdirSync(path);
  if (parent !== "") rmdirSync(parent);
});

function makeCgroup(...path: string[]): string {
  const directory = join(parent, ...path);
  mkdirSync(directory);
  made.push(directory);
  return directory;
}

const FIXTURE = join(import.meta.dir, "../fixtures/fork_into_cgroup.ts");

/** @returns what parent and child were told, and the child's path in v2 */
function fork(directory: string, prefix: readonly string[] = []) {
  const { stdout, stderr, exitCode } = Bun.spawnSync([
    ...prefix,
    process.execPath,
    FIXTURE,
    directory,
  ]);
  expect(`${exitCode} ${exitCode === 0 ? "" : stderr}`).toBe("0 ");
  const { entered, child } = JSON.parse(stdout.toString());
  const [, path] = /^0::(.*)$/m.exec(child.own) ?? [];
  return { entered: [entered, child.entered], path };
}

const readIfThere = (path: string | undefined): string =>
  path !== undefined && existsSync(path) ? readFileSync(path, "utf8") : "";
const below = (directory: string): string => directory.slice(v2?.mountPoint.length);
const ownPath = (): string | undefined =>
  /^0::(.*)$/m.exec(readFileSync("/proc/self/cgroup", "utf8"))?.[1];

describe("a forked child", () => {
  testIf([root(), hasV2], "is in the cgroup at its first instruction", () => {
    const directory = makeCgroup("into");
    expect(fork(directory)).toEqual({ entered: [true, true], path: below(directory) });
  });

  testIf(
    [root(), hasV2, program("strace")],
    "is in its parent's on a kernel without clone3",
    () => {
      const inject = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", "inject=clone3:error=ENOSYS"];
      expect(fork(makeCgroup("old"), inject)).toEqual({
        entered: [false, false],
        path: ownPath() as string,
      });
    },
  );

  // Those that processes beside cgroups keep from being handed down; others make a cgroup threaded.
  const handed = readIfThere(v2 && join(v2.mountPoint, "cgroup.subtree_control")).split(/\s+/);
  const name = ["memory", "io", "hugetlb"].find((each) => handed.includes(each));
  testIf(
    [root(), name === undefined ? "no controller is handed down on v2" : undefined],
    "is in its parent's where the cgroup hands down controllers and so holds no processes",
    () => {
      const directory = makeCgroup("busy");
      makeCgroup("busy", "inner");
      const control = [parent, directory].map((path) => join(path, "cgroup.subtree_control"));
      for (const file of control) writeFileSync(file, `+${name}`);
      expect(fork(directory)).toEqual({ entered: [false, false], path: ownPath() as string });
      for (const file of control.reverse()) writeFileSync(file, `-${name}`);
    },
  );
});

/** Which calls made processes, and moved them into cgroups. */
async function callsOf(args: readonly string[]): Promise<Set<string | undefined>> {
  const { err, exitCode } = await engine.call(["--debug", "run", "--rm", ...args]);
  expect(exitCode).toBe(0);
  const calls = err.matchAll(
    /^mydocker: debug: (?:(clone3?) |(write) .*(?:cgroup.procs|tasks) = 1$)/gm,
  );
  return new Set([...calls].map(([, clone, write]) => clone ?? write));
}

describe("run", () => {
  testIf([onlyV2], "makes init in its cgroup, and moves nobody", async () => {
    expect([...(await callsOf(["busybox", "true"]))]).toEqual(["clone3"]);
  });

  testIf([onlyV2], "makes init in its cgroup with a user namespace, too", async () => {
    expect(await callsOf(["--userns", "private", "busybox", "true"])).toContain("clone3");
  });

  testIf([onV1], "moves init into its cgroups of v1 when it has been made", async () => {
    expect([...(await callsOf(["busybox", "true"]))]).toEqual(["clone", "write"]);
  });

  testIf([onlyV2, program("strace")], "moves init where clone3 is missing", async () => {
    const { out, exitCode } = await engine.exec(
      [
        ...["strace", "-f", "-qq", "-o", "/dev/null", "-e", "inject=clone3:error=ENOSYS"],
        ...[
          String(engine.env["MYDOCKER"]),
          "run",
          "--rm",
          "--cgroupns",
          "host",
          "busybox",
          "cat",
          "/proc/self/cgroup",
        ],
      ],
      {},
    );
    expect([exitCode, out]).toEqual([0, expect.stringMatching(/^0::\/mydocker\/[0-9a-f]{64}$/)]);
  });

  testIf(
    [onlyV2],
    "counts what init takes before the command for the limit of memory",
    async () => {
      const { out } = await engine.run([
        "-m",
        "64m",
        "busybox",
        "cat",
        "/sys/fs/cgroup/memory.peak",
      ]);
      expect(Number(out)).toBeGreaterThan(2 ** 20);
    },
  );
});

leavesNothingBehind(engine);
