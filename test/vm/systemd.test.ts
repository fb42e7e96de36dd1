/** Beside a systemd that manages the cgroups of everything else. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { leavesNothingBehind, useEngine } from "../helpers/cli.ts";
import { OciRuntime } from "../helpers/oci_runtime.ts";

const engine = useEngine();
const oci = new OciRuntime(engine);

const SLICE = "mydockertest.slice";

function systemctl(...args: string[]): string {
  const { exitCode, stdout, stderr } = Bun.spawnSync(["systemctl", ...args]);
  if (exitCode !== 0) throw new Error(`systemctl ${args.join(" ")}: ${stderr}`);
  return stdout.toString().trim();
}

beforeAll(() => {
  systemctl("start", SLICE);
  systemctl("set-property", "--runtime", SLICE, "MemoryMax=48M", "MemorySwapMax=0", "TasksMax=200");
}, 60_000);
afterAll(() => {
  systemctl("stop", SLICE);
});

const pathOf = (pid: number | string): string =>
  /^0::(.*)$/m.exec(readFileSync(`/proc/${pid}/cgroup`, "utf8"))?.[1] ?? "";

describe("--cgroup-parent with a slice", () => {
  test("puts the container into it", async () => {
    const { out } = await engine.run([
      ...[
        "--cgroup-parent",
        `/${SLICE}`,
        "--cgroupns",
        "host",
        "busybox",
        "cat",
        "/proc/self/cgroup",
      ],
    ]);
    expect(out).toMatch(new RegExp(`^0::/${SLICE}/mydocker/[0-9a-f]{64}$`));
  });

  test("counts it in what systemd shows of the slice", async () => {
    const run = engine.start([
      "run",
      "--rm",
      "-i",
      "--cgroup-parent",
      SLICE,
      "busybox",
      "sh",
      "-c",
      "echo up; read x",
    ]);
    await run.waitForOutput(/up/);
    expect(Number(systemctl("show", "-P", "TasksCurrent", SLICE))).toBe(1);
    run.kill("SIGTERM");
    await run.end();
  });

  test("holds it to the slice's own limit", async () => {
    const { exitCode } = await engine.run([
      "--cgroup-parent",
      `/${SLICE}`,
      "busybox",
      "tail",
      "/dev/zero",
    ]);
    expect(exitCode).toBe(137);
  });
});

describe("systemd that reads its units again", () => {
  for (const parent of ["/mydocker", `/${SLICE}`]) {
    test(`leaves a container in ${parent} its limits`, async () => {
      const run = engine.start([
        ...[
          "run",
          "--rm",
          "-i",
          "-m",
          "32m",
          "--pids-limit",
          "50",
          "--cgroup-parent",
          parent,
          "busybox",
        ],
        ...[
          "sh",
          "-c",
          "echo up; read x; cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/pids.max; cat /proc/self/cgroup",
        ],
      ]);
      await run.waitForOutput(/up/);
      systemctl("daemon-reload");
      systemctl("start", "systemd-tmpfiles-clean.service"); // a unit that comes and goes beside it
      run.stdin.write("\n");
      run.stdin.flush();
      expect((await run.end()).out.split("\n")).toEqual(["up", String(32 << 20), "50", "0::/"]);
    });
  }
});

describe("--systemd-cgroup", () => {
  const bundle = (name: string, resources: object, slice = SLICE) =>
    oci.bundle(["sleep", "1000"], (config) => {
      config.linux.cgroupsPath = `${slice}:mydocker:${name}`;
      config.linux.resources = resources;
    });
  const start = (id: string, path: string) =>
    engine.bash(
      'log=$1; shift; "$@" </dev/null >/dev/null 2>"$log"; code=$?; cat "$log" >&2; exit $code',
      {
        args: [
          join(engine.folder, "start.log"), // standard error is the container's, too
          ...[oci.runtime, "--root", oci.root, "--systemd-cgroup"],
          ...["run", "-d", "--bundle", path, id],
        ],
      },
    );
  const show = (unit: string, ...names: string[]) =>
    Object.fromEntries(
      systemctl("show", unit, "-p", names.join(","))
        .split("\n")
        .map((line) => line.split("=", 2)),
    );

  test("puts the container into a scope of systemd's, with its limits", async () => {
    const resources = {
      pids: { limit: 33 },
      memory: { limit: 32 << 20 },
      cpu: { shares: 2048, quota: 12_500, period: 50_000 },
    };
    expect(await start("one", bundle("one", resources))).toMatchObject({ exitCode: 0, err: "" });
    const { pid } = await oci.state("one");
    expect(pathOf(pid)).toBe(`/${SLICE}/mydocker-one.scope`);
    const directory = `/sys/fs/cgroup${pathOf(pid)}`;
    const file = (name: string) => readFileSync(`${directory}/${name}`, "utf8").trim();
    expect(file("pids.max")).toBe("33");
    const unit = "mydocker-one.scope";
    const known = ["ActiveState", "Delegate", "Slice", "TasksMax", "MemoryMax", "CPUWeight"];
    expect(show(unit, ...known, "CPUQuotaPerSecUSec")).toEqual({
      ActiveState: "active",
      Delegate: "yes",
      Slice: SLICE,
      TasksMax: "33",
      MemoryMax: String(32 << 20),
      CPUWeight: file("cpu.weight"),
      CPUQuotaPerSecUSec: "250ms",
    });
    expect(Number(systemctl("show", "-P", "TasksCurrent", SLICE))).toBe(1);
    // What systemd knows it does not take away when it has to write everything anew.
    const update = await oci.call(["update", "--pids-limit", "44", "--memory", "24m", "one"]);
    expect(update).toMatchObject({ exitCode: 0, err: "" });
    systemctl("daemon-reload");
    systemctl("set-property", "--runtime", unit, "IOAccounting=no");
    expect([file("pids.max"), file("memory.max"), file("cpu.max")]).toEqual([
      "44",
      String(24 << 20),
      "12500 50000",
    ]);
    expect(show(unit, "TasksMax", "MemoryMax")).toEqual({
      TasksMax: "44",
      MemoryMax: String(24 << 20),
    });
    await oci.remove("one");
    expect(existsSync(directory)).toBe(false);
  });

  test("can have the same scope again at once, and leaves none", async () => {
    for (let round = 0; round < 3; round++) {
      expect(await start("again", bundle("again", {}))).toMatchObject({ exitCode: 0, err: "" });
      await oci.remove("again");
    }
    const state = () => systemctl("show", "-P", "LoadState", "mydocker-again.scope");
    for (let look = 0; look < 100 && state() !== "not-found"; look++) await Bun.sleep(100);
    expect(state()).toBe("not-found");
  });

  test("leaves a scope of the same name in another slice alone", async () => {
    expect(await start("two", bundle("two", {}))).toMatchObject({ exitCode: 0 });
    const { pid } = await oci.state("two");
    const other = await start("other", bundle("two", {}, "system.slice"));
    expect(other.exitCode).toBe(1);
    expect(other.err).toContain("systemd: Unit mydocker-two.scope");
    expect((await oci.state("two")).pid).toBe(pid);
    expect((await oci.call(["state", "other"])).exitCode).toBe(1);
    expect(existsSync("/sys/fs/cgroup/system.slice/mydocker-two.scope")).toBe(false);
    await oci.remove("two");
  });

  test("says what systemd says of a unit that it refuses", async () => {
    const refused = await start("odd", bundle("a b", {}));
    expect(refused.exitCode).toBe(1);
    expect(refused.err).toBe("mydocker-oci: error: systemd: Invalid unit name or type.");
    expect((await oci.call(["state", "odd"])).exitCode).toBe(1);
  });
});

leavesNothingBehind(engine);
