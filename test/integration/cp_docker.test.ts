/** `cp` beside Docker: what each call leaves is the same. */

import { afterAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { leavesNothingBehind, type Result, useEngine } from "../helpers/cli.ts";
import { Dockerd, IMAGE } from "../helpers/dockerd.ts";
import { program, root, testIf } from "../helpers/requires.ts";

const requirements = [root(), program("dockerd"), program("docker"), program("find")];
const isComplete = requirements.every((requirement) => requirement === undefined);
const engine = useEngine();
const dockerd = new Dockerd(engine, "docker");
afterAll(() => dockerd.stop());

/** One of the two: how it is called, and a container that runs. */
interface Side {
  readonly call: (args: readonly string[], stdin?: Uint8Array) => Promise<Result>;
  readonly pid: () => Promise<number>;
}

const docker: Side = {
  call: (args, stdin) => dockerd.docker(args, stdin === undefined ? {} : { stdin }),
  pid: async () => Number(await dockerd.inspect("cc", "{{.State.Pid}}")),
};
const mydocker: Side = {
  call: (args, stdin) => engine.call(args, stdin === undefined ? {} : { stdin }),
  pid: async () => Number((await engine.call(["inspect", "-f", "{{.State.Pid}}", "cc"])).out),
};
const SIDES = { docker, mydocker };

/** What is at both ends of each copy. Everything has a size of its own. */
const FIXTURE = `
mkdir -p dir/sub existing-dir/dir conflict/dir
printf 1 >file; printf 22 >dir/a; printf 333 >dir/sub/b; printf 4444 >existing-file
printf 55555 >existing-dir/dir/old; printf 666666 >dir/exec; printf 7777777 >conflict/dir/sub
ln -s a dir/link; ln dir/a dir/hard; mkfifo dir/fifo; mknod dir/device c 1 3
ln -s file link-file; ln -s dir link-dir; ln -s missing-target dangling
ln -s dir link-chain-target; ln -s link-chain-target link-chain
chmod 4755 dir/exec; chmod 2750 dir; chmod 600 file; chmod 1777 existing-dir
chown 1000:1001 file dir/a; chown 7:8 dir dir/sub; chown -h 9:9 dir/link
find . ! -type l -exec touch -d '2001-02-03 04:05:06' {} +
`;

const SOURCES = ["file", "dir", "dir/.", "link-dir", "link-dir/"];
const TARGETS = ["existing-file", "existing-dir", "new", "new/", "link-dir", "dangling"];
const FURTHER: readonly (readonly string[])[] = [
  ["file/", "new"],
  ["dir/", "new"],
  ["link-file", "existing-dir"],
  ["link-chain", "existing-dir"],
  ["link-dir/.", "new"],
  ["dangling", "new"],
  ["missing", "new"],
  ["-L", "link-file", "new"],
  ["-L", "link-file", "existing-dir"],
  ["-L", "link-dir", "existing-dir"],
  ["-L", "link-dir", "new"],
  ["-L", "link-dir/.", "existing-dir"],
  ["-L", "link-chain", "new"],
  ["-L", "dangling", "new"],
  ["file", "missing/new"],
  ["dir", "missing/new"],
  ["file", "file/new"],
  ["file", "existing-dir/dir/../other"],
  ["file", "link-file"],
  ["dir", "link-file"],
  ["dir/.", "existing-dir/dir"],
  ["dir", "conflict"],
  ["existing-file", "existing-dir/"],
  ["existing-file", "dir/sub"],
  ["dir/fifo", "new"],
  ["dir/device", "new"],
  ["dir/link", "new"],
  ["dir/hard", "existing-dir"],
  ["dir/../file", "new"],
  ["file", "dir/device"],
  ["file", "dir/fifo"],
  ["file", "existing-dir/."],
  ["file", "new/."],
  ["dir", "new/."],
  ["dir", "."],
  [".", "new"],
];
const PRODUCT = SOURCES.flatMap((from) => TARGETS.map((to) => [from, to]));
const CASES = [...FURTHER, ...PRODUCT];
/** Out of a container the rules are the same code: half of the product shows that. */
const CASES_OUT = CASES.filter((_, number) => number < FURTHER.length || number % 2 === 0);

/** Directories with the fixture, one for each case. */
const fixtures = (base: string, count: number) => `
mkdir -p ${base} && cd ${base} && mkdir first && cd first
${FIXTURE}
cd .. && for n in ${Array.from({ length: count }, (_, n) => n).join(" ")}; do cp -a first $n; done; rm -r first
`;

/** Each file: kind, mode, owners, size of a file, target of a link, and whether its time is the fixture's. */
const LIST = `cd "$1" && find . -mindepth 1 -printf '%P\\t%y %m %U:%G %l\\t%s %TY\\n' | sort |
  sed -E '/\\td [^\\t]*\\t/s/[0-9]+ ([0-9]+)$/\\1/; s/ 2001$/ old/; s/ 20[2-9][0-9]$/ new/'`;

async function listOf(path: string): Promise<Map<string, string>> {
  const { out, err } = await engine.exec(["bash", "-c", LIST, "bash", path], {});
  if (err !== "") throw new Error(err);
  const cases = new Map<string, string>();
  for (const line of out.split("\n")) {
    const name = line.slice(0, line.search(/[/\t]/));
    cases.set(name, `${cases.get(name) ?? ""}${line.slice(name.length)}\n`);
  }
  return cases;
}

interface Found {
  readonly failed: boolean;
  readonly here: string | undefined;
  readonly there: string | undefined;
}

/** What all cases leave, on both ends. */
async function runCases(name: keyof typeof SIDES, intoContainer: boolean): Promise<Found[]> {
  const side = SIDES[name];
  const way = intoContainer ? "in" : "out";
  const cases = intoContainer ? CASES : CASES_OUT;
  const here = join(engine.directory(`cp-${name}`), way);
  await engine.exec(["bash", "-c", fixtures(here, cases.length)], {});
  const { err } = await side.call(["exec", "cc", "sh", "-c", fixtures(`/cp-${way}`, cases.length)]);
  if (err !== "") throw new Error(err);
  const failed: boolean[] = [];
  for (const [number, args] of cases.entries()) {
    const [to = "", from = "", ...options] = args.toReversed();
    const local = (path: string) => `${here}/${number}/${path}`;
    const inside = (path: string) => `cc:/cp-${way}/${number}/${path}`;
    const ends = intoContainer ? [local(from), inside(to)] : [inside(from), local(to)];
    const { exitCode } = await side.call(["cp", ...options, ...ends]);
    failed.push(exitCode !== 0);
  }
  const outside = await listOf(here);
  const within = await listOf(`/proc/${await side.pid()}/root/cp-${way}`);
  return failed.map((each, number) => ({
    failed: each,
    here: outside.get(String(number)),
    there: within.get(String(number)),
  }));
}

if (isComplete) {
  test("dockerd and both containers start", async () => {
    await dockerd.start();
    const idle = ["run", "-d", "--name", "cc", "--network", "none"];
    for (const [side, image] of [
      [docker, IMAGE],
      [mydocker, "busybox"],
    ] as const) {
      const { exitCode, err } = await side.call([...idle, image, "sleep", "1000"]);
      expect(err).toBe("");
      expect(exitCode).toBe(0);
    }
  }, 60_000);
}

describe("cp is Docker's", () => {
  for (const intoContainer of [true, false]) {
    testIf(
      requirements,
      intoContainer ? "into a container" : "out of a container",
      async () => {
        const [theirs, ours] = await Promise.all([
          runCases("docker", intoContainer),
          runCases("mydocker", intoContainer),
        ]);
        const cases = intoContainer ? CASES : CASES_OUT;
        const label = (number: number) => `cp ${cases[number]?.join(" ")}`;
        const table = (found: readonly Found[]) =>
          Object.fromEntries(found.map((each, number) => [label(number), each]));
        expect(table(ours)).toEqual(table(theirs));
      },
      120_000,
    );
  }
});

test("both are removed", async () => {
  await dockerd.removeContainers();
  await dockerd.stop();
  expect((await engine.call(["rm", "-f", "cc"])).err).toBe("");
});
leavesNothingBehind(engine);
