/** What a command leaves that died or hangs, and commands that come at once for one container. */

import { describe, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Engine, leavesNothingBehind, useEngine } from "../helpers/cli.ts";
import { readStat } from "../helpers/leaks.ts";
import { program, testIf } from "../helpers/requires.ts";
import { waitFor } from "../helpers/wait.ts";

const engine = useEngine();
const SLEEP = ["busybox", "sh", "-c", "echo ready; sleep 1000"];

/** `mydocker run OPTIONS… sh -c 'sleep'`, killed, and whose parent does not wait for it until it is disposed of. */
async function zombie(...options: string[]): Promise<AsyncDisposable> {
  const folder = engine.directory(`zombie-${options.join("")}`);
  const script = `"$MYDOCKER" run ${options.join(" ")} ${SLEEP.slice(0, 3).join(" ")} '${SLEEP[3]}' >out & echo $! >pid; exec sleep 1000`;
  const parent = Bun.spawn(["bash", "-c", script], { cwd: folder, env: { ...engine.env } });
  engine.track(parent);
  const line = (file: string) =>
    waitFor(file, () => {
      const path = join(folder, file);
      const text = existsSync(path) ? readFileSync(path, "utf8") : "";
      return text.endsWith("\n") && text.trim();
    });
  await line("out");
  const pid = Number(await line("pid"));
  process.kill(pid, "SIGKILL");
  await waitFor("a zombie", () => readStat(pid)?.state === "Z");
  return {
    async [Symbol.asyncDispose]() {
      parent.kill("SIGKILL");
      await parent.exited;
    },
  };
}

test("a run that was killed, but not waited for, is cleaned up by the next command of any kind", async () => {
  await using _zombie = await zombie("--name", "undead");
  expect((await engine.call(["images", "-q"])).exitCode).toBe(0);
  expect(readdirSync(join(engine.runFolder, "owners"))).toEqual([]);
  const [id = ""] = readdirSync(join(engine.root, "containers"));
  expect(existsSync(join(engine.root, "containers", id, "exit.json"))).toBe(true);
  expect((await engine.call(["rm", "undead"])).out).toBe("undead");
});

test("the name of a --rm run that was killed, but not waited for, can be taken", async () => {
  await using _zombie = await zombie("--rm", "--name", "again");
  const { exitCode, out, err } = await engine.run(["--name", "again", "busybox", "echo", "mine"]);
  expect([exitCode, out, err]).toEqual([0, "mine", ""]);
});

test("rm -f removes a container whose command is stopped by SIGSTOP", async () => {
  for (const options of [[], ["--rm"]]) {
    const running = engine.start(["run", ...options, "--name", "stopped", ...SLEEP]);
    await running.waitForOutput(/ready/);
    running.kill("SIGSTOP");
    await waitFor("stopped", () => readStat(running.pid)?.state === "T");
    const { exitCode, out, err } = await engine.call(["rm", "-f", "stopped"]);
    expect([exitCode, out, err]).toEqual([0, "stopped", ""]);
    expect((await running.end()).signal).toBe("SIGKILL");
    expect((await engine.call(["ps", "-aq"])).out).toBe("");
  }
});

test("of several rm -f of one container, one says that it removed it", async () => {
  for (const options of [[], ["--rm"]]) {
    const running = engine.start(["run", ...options, "--name", "contested", ...SLEEP]);
    await running.waitForOutput(/ready/);
    const results = await Promise.all(
      Array.from({ length: 8 }, () => engine.call(["rm", "-f", "contested"])),
    );
    expect(results.filter(({ out }) => out === "contested")).toHaveLength(1);
    for (const { exitCode, out, err } of results.filter((result) => result.out === "")) {
      // With -f, what is gone is no failure.
      expect(exitCode).toBe(err.includes("No such container") ? 0 : 1);
      expect(out).toBe("");
      expect(err).toMatch(
        /^mydocker: (No such container: contested|removal of container contested is already in progress)$/,
      );
    }
    await running.end();
    expect((await engine.call(["ps", "-aq"])).out).toBe("");
  }
});

test("how a container ended is not overwritten by the recovery of its killed command", async () => {
  await engine.call(["run", "--name", "ended", "busybox", "sh", "-c", "exit 7"]);
  const [id = ""] = readdirSync(join(engine.root, "containers"));
  // As it is when the command is killed between writing the end down and letting go.
  const owner = { id, remove: false, cgroup: `/mydocker/${id}` };
  writeFileSync(join(engine.runFolder, "owners", id), JSON.stringify(owner));
  const { out } = await engine.call(["ps", "-a", "--format", "{{.Status}}"]);
  expect(out).toStartWith("Exited (7)");
  expect(readdirSync(join(engine.runFolder, "owners"))).toEqual([]);
  await engine.call(["rm", "ended"]);
});

test("after a reboot, what ran is told as lost, and what ended as it ended", async () => {
  await engine.call(["run", "--name", "ended", "busybox", "sh", "-c", "exit 7"]);
  const running = engine.start(["run", "--name", "ran", ...SLEEP]);
  await running.waitForOutput(/ready/);
  running.kill("SIGKILL");
  await running.end();
  rmSync(engine.runFolder, { recursive: true });
  const { out } = await engine.call(["ps", "-a", "--format", "{{.Names}} {{.Status}}"]);
  expect(out).toMatch(/^ran Exited \(137\).*\nended Exited \(7\)/);
  expect((await engine.call(["rm", "ended", "ran"])).exitCode).toBe(0);
});

test("what a killed import left is removed by the next command of any kind", async () => {
  const staging = join(engine.root, "images/tmp");
  for (const next of [["ps"], ["run", "--rm", "busybox", "true"], ["images"], ["info"]]) {
    const importing = engine.start(["import", "-", "never"]);
    importing.stdin.write(new Uint8Array(512));
    await importing.stdin.flush();
    await waitFor(
      "the import to begin",
      () => existsSync(staging) && readdirSync(staging).length > 0,
    );
    importing.kill("SIGKILL");
    await importing.end();
    expect((await engine.call(next)).exitCode).toBe(0);
    expect(existsSync(staging)).toBe(false);
  }
});

test("an import that goes on is left alone by other commands", async () => {
  const importing = engine.start(["import", "-", "slow"]);
  importing.stdin.write(new Uint8Array(512));
  await importing.stdin.flush();
  const staging = join(engine.root, "images/tmp");
  await waitFor(
    "the import to begin",
    () => existsSync(staging) && readdirSync(staging).length > 0,
  );
  expect((await engine.run(["busybox", "true"])).exitCode).toBe(0);
  importing.stdin.write(new Uint8Array(512));
  await importing.stdin.end();
  expect((await importing.end()).exitCode).toBe(0);
  expect((await engine.call(["rmi", "slow"])).exitCode).toBe(0);
});

testIf(
  [program("strace")],
  "what a killed first unpacking of the default image left is removed by the next command",
  async () => {
    // In the middle of the files, and between the layer and the image.
    for (const [call, when] of [
      ["fsync", 5],
      ["?rename,?renameat,?renameat2", 3],
    ] as const) {
      const fresh = new Engine();
      try {
        const { exitCode } = await fresh.bash(
          `exec strace -f -qq -o /dev/null -e inject=${call}:signal=KILL:when=${when} "$MYDOCKER" run --rm busybox true`,
        );
        expect([call, exitCode]).toEqual([call, null]);
        expect((await fresh.call(["ps", "-aq"])).out).toBe("");
        expect(existsSync(join(fresh.root, "images/tmp"))).toBe(false);
        expect((await fresh.run(["busybox", "echo", "fine"])).out).toBe("fine");
        expect((await fresh.call(["images", "-q"])).out.split("\n")).toHaveLength(1);
      } finally {
        fresh.remove();
      }
    }
  },
);

// Whoever reads an owner's file that is empty knows from its mode that it is no removal.
testIf(
  [program("strace")],
  "a start that is killed before it says that it is the owner keeps the container",
  async () => {
    expect((await engine.call(["create", "--name", "old", "busybox", "echo", "kept"])).err).toBe(
      "",
    );
    for (const command of ["start", "restart"]) {
      const inject = "inject=pwrite64:signal=KILL:when=1";
      await engine.bash(`exec strace -f -qq -o /dev/null -e ${inject} "$MYDOCKER" ${command} old`);
      expect((await engine.call(["ps", "-a", "--format", "{{.Names}}"])).out).toBe("old");
    }
    expect((await engine.call(["start", "-a", "old"])).out).toBe("kept");
    expect((await engine.call(["rm", "old"])).exitCode).toBe(0);
  },
);

describe("killed at each call that changes something", () => {
  const CALLS =
    "mkdir mkdirat symlink symlinkat rename renameat renameat2 unlink unlinkat rmdir link linkat ftruncate";
  const SET = CALLS.split(" ")
    .map((call) => `?${call}`)
    .join(",");
  const tar = () => {
    const path = join(engine.directory("swept"), "two.tar");
    Bun.spawnSync(["tar", "-C", "/etc", "-cf", path, "hostname", "hosts"]);
    return path;
  };
  /** How often a command makes each call. */
  const countCalls = async (command: string): Promise<Map<string, number>> => {
    const { exitCode, err } = await engine.bash(`exec strace -qq -e trace='${SET}' ${command}`);
    expect(exitCode).toBe(0);
    const counts = new Map<string, number>();
    for (const [, call = ""] of err.matchAll(/^([a-z_0-9]+)\(/gm))
      counts.set(call, (counts.get(call) ?? 0) + 1);
    return counts;
  };
  const COMMANDS = [
    {
      name: "rm",
      prepare: () => engine.call(["run", "--name", "swept", "busybox", "mkdir", "-p", "/a/b"]),
      command: () => '"$MYDOCKER" rm swept',
    },
    { name: "import", prepare: async () => {}, command: () => `"$MYDOCKER" import ${tar()} swept` },
    {
      name: "rmi",
      prepare: () => engine.call(["import", tar(), "swept"]),
      command: () => '"$MYDOCKER" rmi swept',
    },
  ];
  for (const { name, prepare, command } of COMMANDS) {
    testIf(
      [program("strace")],
      `${name}: the next command works, and what is left can be removed`,
      async () => {
        await prepare();
        const calls = await countCalls(command());
        await engine.call(["rmi", "swept"]);
        expect([...calls.values()].reduce((a, b) => a + b)).toBeGreaterThan(3);
        for (const [call, count] of calls) {
          for (let when = 1; when <= count; when++) {
            const where = `${call} number ${when}`;
            await prepare();
            await engine.bash(
              `exec strace -qq -o /dev/null -e trace=${call} -e inject=${call}:signal=KILL:when=${when} ${command()}`,
            );
            const next = await engine.run(["busybox", "echo", "fine"]);
            expect([where, next.out, next.err]).toEqual([where, "fine", ""]);
            await engine.call(["rm", "-f", "swept"]);
            await engine.call(["rmi", "-f", "swept"]);
            const ids = (await engine.call(["images", "-q"])).out.split("\n");
            for (const id of ids.slice(0, -1)) await engine.call(["rmi", id]);
            const left = ["containers", "names", "images/ids", "images/layers", "images/names"].map(
              (kind) => readdirSync(join(engine.root, kind)).length,
            );
            expect([where, ...left]).toEqual([where, 0, 0, 1, 1, 1]);
            expect(existsSync(join(engine.root, "images/tmp"))).toBe(false);
          }
        }
      },
      120_000,
    );
  }
});

testIf(
  [program("unshare")],
  "on a full disk errors name the file, rm -f works, and so does all once there is room",
  async () => {
    // In a mount namespace of its own, which takes the file system with it.
    const { out, err } = await engine.bash(
      `exec unshare -m --propagation private bash -c '
      mount -t tmpfs -o size=8m tmpfs "$1"; cd "$1"
      export MYDOCKER_ROOT=$1/root MYDOCKER_RUN=$1/run
      "$MYDOCKER" run --name old busybox true
      head -c 20m /dev/zero >fill 2>/dev/null
      "$MYDOCKER" run --rm busybox true; echo "run $?"
      "$MYDOCKER" ps -a --format "{{.Names}} {{.State}}"
      "$MYDOCKER" rm -f old; echo "rm $?"
      rm fill
      "$MYDOCKER" run --rm busybox echo fine
      find root/containers root/names run/owners run/etc -mindepth 1' bash "$PWD/full"`.replace(
        "exec",
        "mkdir full; exec",
      ),
    );
    expect(out.split("\n")).toEqual(["run 125", "old exited", "old", "rm 0", "fine"]);
    expect(err).toMatch(/^mydocker: (cannot )?write \/.*: ENOSPC: no space left on device$/);
  },
);

leavesNothingBehind(engine);
