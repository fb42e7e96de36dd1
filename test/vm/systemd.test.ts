/** Beside a systemd that manages the cgroups of everything else. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
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
  const bundle = (name: string) =>
    oci.bundle(["sleep", "1000"], (config) => {
      config.linux.cgroupsPath = `${SLICE}:mydocker:${name}`;
      config.linux.resources = { pids: { limit: 33 } };
    });

  test("puts the container where systemd would have the scope, in its slice", async () => {
    const args = [
      "--root",
      oci.root,
      "--systemd-cgroup",
      "run",
      "-d",
      "--bundle",
      bundle("one"),
      "one",
    ];
    const { exitCode } = await engine.bash('"$@" </dev/null >/dev/null 2>&1', {
      args: [oci.runtime, ...args],
    });
    expect(exitCode).toBe(0);
    const { pid } = await oci.state("one");
    expect(pathOf(pid)).toBe(`/${SLICE}/mydocker-one.scope`);
    const directory = `/sys/fs/cgroup${pathOf(pid)}`;
    expect(readFileSync(`${directory}/pids.max`, "utf8").trim()).toBe("33");
    expect(Number(systemctl("show", "-P", "TasksCurrent", SLICE))).toBe(1);
    await oci.remove("one");
    expect(existsSync(directory)).toBe(false);
  });
});

leavesNothingBehind(engine);
