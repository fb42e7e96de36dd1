/**
 * Images under SIGKILL and under each other: whatever is killed when, and whoever loads, removes and
 * runs at once, each image is whole or not there, and of the others nothing is left.
 */
import { beforeEach, describe, expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { leavesNothingBehind, useEngine } from "../helpers/cli.ts";
import { program, testIf } from "../helpers/requires.ts";
import { expectNoDangling, expectSoundStore, storeEntries } from "../helpers/store_checks.ts";
import { archive } from "../helpers/tar_builder.ts";

const engine = useEngine({
  before: async () => {
    writeFileSync(file, twoImages());
  },
});
const file = join(engine.directory("archives"), "two.tar");
const images = join(engine.root, "images");
const sha = (bytes: Uint8Array | string) =>
  new Bun.CryptoHasher("sha256").update(bytes).digest("hex");

/** Two images that share a layer, each with another one and with two names; statically linked, they run. */
function twoImages(): Uint8Array {
  const shared = archive({ name: "bin/", type: "5", mode: 0o755 }, { name: "shared", data: "s" });
  const busybox = readFileSync("/bin/busybox");
  const members = ["one", "two"].flatMap((name) => {
    const own = archive({ name: "bin/sh", data: busybox, mode: 0o755 }, { name, data: name });
    const config = JSON.stringify({
      architecture: process.arch === "arm64" ? "arm64" : "amd64",
      os: "linux",
      config: { Cmd: ["sh", "-c", `test -e /shared && test -e /${name} && echo ${name}`] },
      rootfs: { type: "layers", diff_ids: [shared, own].map((layer) => `sha256:${sha(layer)}`) },
    });
    const item = {
      Config: `${name}.json`,
      RepoTags: [`${name}:1`, `${name}:2`],
      Layers: ["shared.tar", `${name}.tar`],
    };
    return [
      {
        item,
        files: [
          { name: `${name}.json`, data: config },
          { name: `${name}.tar`, data: own },
        ],
      },
    ];
  });
  return archive({ name: "shared.tar", data: shared }, ...members.flatMap(({ files }) => files), {
    name: "manifest.json",
    data: JSON.stringify(members.map(({ item }) => item)),
  });
}

const NAMES = ["one:1", "one:2", "two:1", "two:2"];

const load = () => engine.call(["load", "-q", "-i", file]);
const removeAll = () => engine.call(["rmi", "-f", ...NAMES, ...danglingIds()]);
/** Of images that lost their names to a kill. */
const danglingIds = (): string[] => {
  const ids = storeEntries(engine, "ids");
  return ids.filter((id) =>
    readFileSync(join(images, "ids", id, "config.json"), "utf8").includes("/shared"),
  );
};

const CALLS =
  "mkdir mkdirat rename renameat linkat unlinkat fsync syncfs mknodat fchmodat utimensat flock pwrite64";

/** How often a command makes each call. */
async function countCalls(command: string): Promise<Map<string, number>> {
  const trace = join(engine.directory("trace"), "trace");
  const set = CALLS.split(" ").map((call) => `?${call}`);
  const { exitCode } = await engine.bash(
    `exec strace -qq -o '${trace}' -e trace=${set} ${command}`,
  );
  expect(exitCode).toBe(0);
  const calls = readFileSync(trace, "latin1").matchAll(/^([a-z_0-9]+)\(/gm);
  return new Map(
    [...Map.groupBy(calls, ([, call = ""]) => call)].map(([call, each]) => [call, each.length]),
  );
}

/** Kills a command at its calls, at as many of each kind as there are points for it. */
async function killEverywhere(
  command: string,
  prepare: () => Promise<unknown>,
  check: (where: string) => void = () => undefined,
): Promise<number> {
  let killed = 0;
  await prepare();
  const counts = await countCalls(command);
  for (const [call, count] of counts) {
    const step = Math.ceil(count / 3);
    for (let when = 1; when <= count; when += step) {
      await prepare();
      const { exitCode } = await engine.bash(
        `exec strace -qq -o /dev/null -e trace=${call} -e inject=${call}:signal=SIGKILL:when=${when} ${command}`,
      );
      if (exitCode !== 0) killed++;
      const where = `killed at ${call} number ${when}`;
      await expectSoundStore(engine, where);
      check(where);
    }
  }
  return killed;
}

describe("killed at any moment", () => {
  testIf(
    [program("strace"), program("busybox")],
    "load leaves images that are whole, and nothing of the others",
    async () => {
      const command = `"$MYDOCKER" load -q -i '${file}'`;
      const hasNames = (where: string) => expectNoDangling(engine, where);
      expect(await killEverywhere(command, removeAll, hasNames)).toBeGreaterThan(15);
      expect((await load()).out.split("\n").sort()).toEqual(
        NAMES.map((name) => `Loaded image: ${name}`),
      );
      for (const name of ["one", "two"])
        expect((await engine.run(["--network", "none", `${name}:1`])).out).toBe(name);
      await removeAll();
    },
    120_000,
  );

  testIf(
    [program("strace"), program("busybox")],
    "rmi leaves images that are whole, and nothing of the others",
    async () => {
      const command = `"$MYDOCKER" rmi -f ${NAMES.join(" ")}`;
      const prepare = async () => {
        await removeAll();
        await load();
      };
      expect(await killEverywhere(command, prepare)).toBeGreaterThan(10);
      await removeAll();
      await expectSoundStore(engine, "in the end");
      expect(danglingIds()).toEqual([]);
    },
    120_000,
  );
});

describe("all at once", () => {
  beforeEach(async () => {
    await load();
  });

  testIf(
    [program("busybox")],
    "load, rmi, run and save of the same images",
    async () => {
      const random = () => NAMES[Math.floor(Math.random() * NAMES.length)] as string;
      const works: (() => Promise<{ exitCode: number | null; out: string; err: string }>)[] = [
        load,
        () => engine.call(["rmi", random()]),
        () => engine.call(["rmi", "-f", random(), random()]),
        () => engine.run(["--network", "none", "--pull", "never", random()]),
        () =>
          engine.call([
            "save",
            "-o",
            join(engine.directory("saved"), crypto.randomUUID()),
            random(),
          ]),
        () => engine.call(["images"]),
      ];
      const failed: string[] = [];
      const worker = async (number: number) => {
        for (let round = 0; round < 8; round++) {
          const { exitCode, err } = await (
            works[(number + round) % works.length] as () => ReturnType<typeof load>
          )();
          // Another may have been first; nothing else may go wrong.
          const isKnown = /No such image|was removed|conflict: |is gone|Unable to find image/.test(
            err,
          );
          if (exitCode !== 0 && !isKnown) failed.push(err);
        }
      };
      await Promise.all(Array.from({ length: 6 }, (_, number) => worker(number)));
      expect(failed).toEqual([]);
      await expectSoundStore(engine, "after all at once");
      await load();
      for (const name of ["one", "two"])
        expect((await engine.run(["--network", "none", `${name}:2`])).out).toBe(name);
      await removeAll();
      await expectSoundStore(engine, "in the end");
    },
    60_000,
  );
});

testIf(
  [program("busybox"), program("unshare")],
  "on a full disk load says so and leaves nothing, and save leaves what was there",
  async () => {
    const script = `
      export MYDOCKER_ROOT="$1/root"
      failed=0
      for size in 600k 1500k 2600k 4000k 5000k 6000k 7500k; do
        mount -t tmpfs -o size=$size tmpfs "$1"
        if ! "$MYDOCKER" load -q -i "$2" >"$3" 2>&1; then
          failed=$((failed + 1))
          grep -q 'no space left on device' "$3" || { echo "$size: $(cat "$3")"; exit 1; }
          [ "$(wc -l <"$3")" = 1 ] || { echo "$size: $(cat "$3")"; exit 1; }
          find "$1/root/images" -type f
          "$MYDOCKER" images -q
        fi
        umount "$1"
      done
      [ $failed -ge 4 ] || echo "only $failed failed"
      mount -t tmpfs -o size=20m tmpfs "$1"
      "$MYDOCKER" load -q -i "$2" >/dev/null && "$MYDOCKER" image verify -q
      echo kept >"$1/out"
      head -c 30m /dev/zero >"$1/fill" 2>/dev/null
      if "$MYDOCKER" save -o "$1/out" one:1 2>"$3"; then echo saved; fi
      grep -q 'no space left on device' "$3" || cat "$3"
      cat "$1/out"
      ls -A "$1"
      "$MYDOCKER" rmi -f one:1 one:2 two:1 two:2 >/dev/null || echo "rmi: $?"
      find "$1/root/images" -type f`;
    const target = engine.directory("small");
    const said = join(engine.directory("archives"), "said");
    const { out, err } = await engine.exec(
      ["unshare", "-m", "bash", "-c", script, "bash", target, file, said],
      { timeout: 60_000 },
    );
    expect([out.split("\n").sort(), err]).toEqual([["fill", "kept", "out", "root"], ""]);
  },
);

test("what was made is removed", async () => {
  await removeAll();
  expect(storeEntries(engine, "ids")).toHaveLength(1);
});
leavesNothingBehind(engine);
