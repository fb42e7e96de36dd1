/** Every command on a disk without room, for data or for a further file: one clear line, and nothing changes. */

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { leavesNothingBehind, type Result, useEngine } from "../helpers/cli.ts";
import { waitFor } from "../helpers/wait.ts";

const engine = useEngine();
const SLEEP = ["busybox", "sleep", "1000"];

describe.each([
  ["data", "state root"],
  ["files", "state root"],
  ["data", "run directory as well"],
  ["files", "run directory as well"],
] as const)("no room for %s in the %s", (what, where) => {
  let disk = "";
  let env: Record<string, string> = {};
  let before = "";

  const call = (...args: string[]): Promise<Result> => engine.call(args, { env });
  const ok = async (...args: string[]): Promise<string> => {
    const { exitCode, out, err } = await call(...args);
    expect([args.join(" "), exitCode, err]).toEqual([args.join(" "), 0, ""]);
    return out;
  };
  /** What is there, as commands say it, and as the disk has it. */
  const everything = async (): Promise<string> => {
    const root = join(disk, "root");
    const names = ["containers", "names", "volumes", "images/names", "images/layers", "images/ids"];
    return [
      await ok("ps", "-a", "--format", "{{.Names}} {{.State}} {{.Image}}"),
      await ok("volume", "ls", "-q"),
      await ok("images", "--format", "{{.Repository}}:{{.Tag}}"),
      ...names.map((name) => readdirSync(join(root, name)).filter((each) => each !== ".tmp")),
    ].join("\n");
  };

  beforeAll(async () => {
    disk = engine.directory(`${what}-${where.replaceAll(" ", "-")}`);
    const mounted = await engine.bash('mount -t tmpfs -o size=40m,nr_inodes=2000 tmpfs "$1"', {
      args: [disk],
    });
    expect(mounted.err).toBe("");
    const isBoth = where !== "state root";
    const run = isBoth ? join(disk, "run") : engine.directory(`run-${what}`);
    env = { MYDOCKER_ROOT: join(disk, "root"), MYDOCKER_RUN: run };
    await ok("run", "--rm", "busybox", "true");
    await ok("run", "-d", "--restart=always", "--name", "up", ...SLEEP);
    await ok("create", "--name", "made", ...SLEEP);
    await call("run", "--name", "ended", "busybox", "sh", "-c", "exit 3");
    await ok("volume", "create", "volume");
    await ok("volume", "rm", await ok("volume", "create"));
    const fill =
      what === "data"
        ? "dd if=/dev/zero of=fill bs=64k; dd if=/dev/zero of=fill2 bs=1 count=65536"
        : "mkdir fill; for i in $(seq 2000); do : >fill/$i || exit 0; done";
    await engine.exec(["bash", "-c", `${fill} 2>/dev/null`], { cwd: disk });
    before = await everything();
  });

  afterAll(async () => {
    for (const name of ["fill", "fill2"]) {
      rmSync(join(disk, name), { recursive: true, force: true });
    }
    await call("rm", "-f", "up", "made", "ended");
    await waitFor("unmounted", async () => {
      return (await engine.bash('umount "$1"', { args: [disk] })).exitCode === 0;
    });
    if (where === "state root") rmSync(env["MYDOCKER_RUN"] ?? "", { recursive: true });
  });

  const file = join(engine.folder, "hello");
  test.each([
    ["create", "--name", "new", ...SLEEP],
    ["create", "--name", "new", "-v", "/data", ...SLEEP],
    ["run", "--name", "new", "busybox", "true"],
    ["run", "--rm", "busybox", "true"],
    ["run", "-d", "--name", "new", ...SLEEP],
    ["run", "-d", "--name", "new", "-v", "fresh:/data", ...SLEEP],
    ["run", "-d", "--health-cmd", "true", "--name", "new", ...SLEEP],
    ["start", "made"],
    ["start", "ended"],
    ["rename", "made", "other"],
    ["update", "-m", "64m", "made"],
    ["update", "--restart", "no", "up"],
    ["volume", "create", "another"],
    ["tag", "busybox", "other:tag"],
    ["commit", "made", "other:image"],
    ["cp", file, "made:/copied"],
    ["cp", file, "up:/copied"],
  ])("%s %s %s %s", async (...args) => {
    writeFileSync(file, "hello");
    const { exitCode, out, err } = await call(...args);
    expect([exitCode, out]).toEqual([args[0] === "run" ? 125 : 1, ""]);
    expect(err).toMatch(
      /^mydocker: [^\n]*(ENOSPC: no space left on device|marked read-only)[^\n]*$/,
    );
    expect(await everything()).toBe(before);
  });

  test("what takes no room works: exec, pause, unpause, logs, export, system boot", async () => {
    expect(await ok("exec", "up", "echo", "hi")).toBe("hi");
    await ok("exec", "-d", "up", "true");
    await ok("pause", "up");
    await ok("unpause", "up");
    await ok("logs", "up");
    expect((await call("export", "made")).exitCode).toBe(0);
    expect(await ok("system", "boot")).toBe("");
    expect(await everything()).toBe(before);
  });

  test("a container can be stopped, is known to have ended and how, and is not started again", async () => {
    await ok("stop", "-t", "0", "up");
    const state = "{{.State.Status}} {{.State.ExitCode}} {{.RestartCount}}";
    // Without room for the file that says who stopped it, its monitor is about to start it again, and is told not to.
    const said = await ok("inspect", "-f", state, "up");
    expect(["exited 137 0", "exited 137 1"]).toContain(said);
    await Bun.sleep(300);
    expect(await ok("inspect", "-f", state, "up")).toBe(said);
    expect(await ok("wait", "up")).toBe("137");
  });

  test("and everything can be removed", async () => {
    await ok("rm", "up", "made", "ended");
    await ok("volume", "rm", "volume");
    expect(await ok("ps", "-aq")).toBe("");
  });
});

leavesNothingBehind(engine);
