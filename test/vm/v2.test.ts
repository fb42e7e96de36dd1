/** What only cgroup v2 has, or does otherwise: with swap, and block devices that nobody else uses. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readFileSync, statSync } from "node:fs";
import { EXECUTABLE, leavesNothingBehind, useEngine } from "../helpers/cli.ts";
import { type Config, OciRuntime } from "../helpers/oci_runtime.ts";
import { ownCalls } from "../helpers/own_calls.ts";
import { testIf } from "../helpers/requires.ts";

const [IO_DISK, SWAP_DISK] = ["/dev/vdc", "/dev/vdd"];
const engine = useEngine();
const oci = new OciRuntime(engine);

const host = (...command: string[]): string => {
  const { exitCode, stdout, stderr } = Bun.spawnSync(command);
  if (exitCode !== 0) throw new Error(`${command.join(" ")}: ${stderr}`);
  return stdout.toString().trim();
};

beforeAll(() => {
  host("mkswap", SWAP_DISK);
  host("swapon", SWAP_DISK);
});
afterAll(() => {
  host("swapoff", SWAP_DISK);
});

/** A container that sees its own cgroup alone. */
const withCgroup =
  (change: (config: Config) => void) =>
  (config: Config): void => {
    config.linux.namespaces.push({ type: "cgroup" });
    config.linux.resources = {};
    change(config);
  };

const field = (text: string, name: string): number =>
  Number(new RegExp(`^${name} (\\d+)$`, "m").exec(text)?.[1] ?? Number.NaN);

describe("memory", () => {
  test("over the limit is an OOM that memory.events counts", async () => {
    const script = "tail /dev/zero; echo $?; cat /sys/fs/cgroup/memory.events";
    const { out } = await engine.run([
      "-m",
      "24m",
      "--memory-swap",
      "24m",
      "busybox",
      "sh",
      "-c",
      script,
    ]);
    expect(out.split("\n").find((line) => /^\d+$/.test(line))).toBe("137");
    expect(field(out, "oom_kill")).toBe(1);
    expect(field(out, "max")).toBeGreaterThan(0);
  });

  test("may be swapped out as far as --memory-swap says", async () => {
    // dd holds one block of 48 MB in memory.
    const script =
      "dd if=/dev/zero of=/dev/null bs=48M count=1 2>/dev/null; echo $?; cat /sys/fs/cgroup/memory.swap.max";
    const run = async (swap: string) =>
      (
        await engine.run(["-m", "32m", "--memory-swap", swap, "busybox", "sh", "-c", script])
      ).out.split("\n");
    expect((await run("32m")).slice(-2)).toEqual(["137", "0"]);
    expect((await run("80m")).slice(-2)).toEqual(["0", String(48 << 20)]);
  });

  test("over memory.high is slowed down and swapped out, but not killed", async () => {
    const script = [
      "busybox dd if=/dev/zero of=/dev/null bs=32M count=1 2>/dev/null; echo dd $?",
      "cat /sys/fs/cgroup/memory.high /sys/fs/cgroup/memory.events",
    ].join("; ");
    const { out } = await oci.run(
      ["sh", "-c", script],
      withCgroup((config) => {
        config.linux.resources.unified = { "memory.high": String(24 << 20) };
      }),
    );
    expect(out).toStartWith(`dd 0\n${24 << 20}\n`);
    expect(field(out, "high")).toBeGreaterThan(0);
    expect(field(out, "oom_kill")).toBe(0);
  });

  test("is set by `unified` over what has a name of its own", async () => {
    const { out } = await oci.run(
      ["cat", "/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/pids.max"],
      withCgroup((config) => {
        config.linux.resources = {
          memory: { limit: 64 << 20 },
          unified: { "memory.max": String(48 << 20), "pids.max": "77" },
        };
      }),
    );
    expect(out.split("\n")).toEqual([String(48 << 20), "77"]);
  });
});

describe("a block device", () => {
  const { rdev } = statSync(IO_DISK as string);
  const [major, minor] = [rdev >> 8, rdev & 0xff];
  const open = (config: Config) => {
    config.linux.devices = [{ path: IO_DISK, type: "b", major, minor, fileMode: 0o600 }];
    config.linux.resources.devices = [{ allow: true, type: "b", major, minor, access: "rw" }];
  };

  test("is limited and counted by io", async () => {
    const { out } = await oci.run(
      [
        "busybox",
        "sh",
        "-c",
        `busybox dd if=/dev/zero of=${IO_DISK} bs=64k count=16 conv=fsync 2>/dev/null; cat /sys/fs/cgroup/io.max /sys/fs/cgroup/io.stat`,
      ],
      withCgroup((config) => {
        open(config);
        config.linux.resources.blockIO = {
          throttleReadBpsDevice: [{ major, minor, rate: 2 ** 20 }],
          throttleWriteBpsDevice: [{ major, minor, rate: 4 * 2 ** 20 }],
          throttleReadIOPSDevice: [{ major, minor, rate: 100 }],
          throttleWriteIOPSDevice: [{ major, minor, rate: 200 }],
        };
      }),
    );
    const lines = out.split("\n").filter((line) => line.startsWith(`${major}:${minor} `));
    expect(lines[0]).toBe(
      `${major}:${minor} rbps=${2 ** 20} wbps=${4 * 2 ** 20} riops=100 wiops=200`,
    );
    expect(Number(/ wbytes=(\d+) /.exec(lines[1] ?? "")?.[1])).toBe(16 << 16);
  });

  test("is let in by eBPF to whom a rule names it, and to nobody else", async () => {
    const read = ["busybox", "dd", `if=${IO_DISK}`, "of=/dev/null", "bs=512", "count=1"];
    const allowed = await oci.run(read, withCgroup(open));
    expect([allowed.exitCode, allowed.err]).toEqual([0, expect.stringContaining("1+0 records in")]);
    const denied = await oci.run(
      read,
      withCgroup((config) => {
        open(config);
        config.linux.resources.devices = [];
      }),
    );
    expect([denied.exitCode, denied.err]).toEqual([
      1,
      expect.stringContaining("Operation not permitted"),
    ]);
  });
});

describe("delegation", () => {
  test("hands every controller down to a container", async () => {
    const { out } = await engine.run(["busybox", "cat", "/sys/fs/cgroup/cgroup.controllers"]);
    const ours = readFileSync("/sys/fs/cgroup/cgroup.controllers", "utf8").trim().split(" ");
    const needed = ["cpu", "cpuset", "hugetlb", "io", "memory", "pids"].filter((name) =>
      ours.includes(name),
    );
    expect(out.split(" ").sort()).toEqual(expect.arrayContaining(needed));
  });

  /** The cgroup that this test is in, which therefore hands nothing down. */
  const own = /^0::(.*)$/m.exec(readFileSync("/proc/self/cgroup", "utf8"))?.[1] as string;

  test("is refused by a parent with processes of its own, and a limit says so", async () => {
    const { exitCode, err } = await engine.run([
      "-m",
      "64m",
      "--cgroup-parent",
      own,
      "busybox",
      "true",
    ]);
    expect(exitCode).toBe(125);
    expect(err).toMatch(/^mydocker: cgroup memory: /);
    expect(err.split("\n")).toHaveLength(1);
  });

  test("is not needed for a container without limits", async () => {
    const { out, err, exitCode } = await engine.run([
      ...["--cgroup-parent", own, "--cgroupns", "host", "busybox", "cat", "/proc/self/cgroup"],
    ]);
    expect({ exitCode, err }).toEqual({ exitCode: 0, err: "" });
    expect(out).toStartWith(`0::${own}/`);
    // It was not made a threaded one, to which the kernel gives half of the controllers.
    expect(readFileSync(`/sys/fs/cgroup${own}/cgroup.type`, "utf8").trim()).toBe("domain");
  });

  test("lets a privileged container run containers with limits of its own", async () => {
    const script = [
      "mkdir /sys/fs/cgroup/init && echo 0 > /sys/fs/cgroup/init/cgroup.procs",
      "echo +memory +pids > /sys/fs/cgroup/cgroup.subtree_control",
      "mkdir /sys/fs/cgroup/inner && echo 8388608 > /sys/fs/cgroup/inner/memory.max",
      "sh -c 'echo 0 > /sys/fs/cgroup/inner/cgroup.procs; exec tail /dev/zero'; echo $?",
    ].join(" && ");
    const { out } = await engine.run([
      "--privileged",
      "--memory-swap",
      "64m",
      "-m",
      "64m",
      "busybox",
      "sh",
      "-c",
      script,
    ]);
    expect(out.split("\n").at(-1)).toBe("137");
  });
});

describe("a cgroup namespace", () => {
  test("shows a container its own cgroup as the root", async () => {
    const { out } = await engine.run(["busybox", "cat", "/proc/self/cgroup"]);
    expect(out).toBe("0::/");
  });

  test("is the host's with --cgroupns host", async () => {
    const { out } = await engine.run(["--cgroupns", "host", "busybox", "cat", "/proc/self/cgroup"]);
    expect(out).toMatch(/^0::\/mydocker\/[0-9a-f]{64}$/);
  });
});

test("a paused container is frozen, killed while it is, and gone", async () => {
  const bundle = oci.bundle(["sleep", "1000"]);
  await oci.start("frozen", bundle);
  const { pid } = await oci.state("frozen");
  const own = /^0::(.*)$/m.exec(readFileSync(`/proc/${pid}/cgroup`, "utf8"))?.[1];
  const events = () => readFileSync(`/sys/fs/cgroup${own}/cgroup.events`, "utf8");
  expect((await oci.call(["pause", "frozen"])).exitCode).toBe(0);
  expect(field(events(), "frozen")).toBe(1);
  expect((await oci.state("frozen")).status).toBe("paused");
  expect((await oci.call(["resume", "frozen"])).exitCode).toBe(0);
  expect(field(events(), "frozen")).toBe(0);
  await oci.call(["pause", "frozen"]);
  await oci.remove("frozen");
  expect(() => events()).toThrow(/ENOENT/);
});

test("events end with the container, whose cgroup's end wakes nobody", async () => {
  await oci.start("watched", oci.bundle(["sleep", "1000"]));
  const events = oci.call(["events", "--interval", "1h", "watched"]);
  await Bun.sleep(3000); // it has shown the figures, and waits
  await oci.call(["kill", "watched", "KILL"]);
  const { exitCode, out } = await events;
  expect([exitCode, JSON.parse(out).type]).toEqual([0, "stats"]);
  await oci.remove("watched");
});

const onV1 = Number(process.env["V1_CALLS"] ?? 0);
testIf(
  [onV1 > 0 ? undefined : "the host has no v1"],
  "a run takes no more calls than on v1, but a tenth",
  () => {
    expect(ownCalls(EXECUTABLE, engine.env)).toBeLessThanOrEqual(Math.floor(onV1 * 1.1));
  },
);

leavesNothingBehind(engine);
