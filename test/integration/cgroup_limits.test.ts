/** Limits: that they are set, that they hold, and that one that cannot be set is an error. */

import { describe, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { leavesNothingBehind, useEngine } from "../helpers/cli.ts";
import { cgroupFile } from "../helpers/container_facts.ts";
import { controller, controllerFile, testIf } from "../helpers/requires.ts";

const engine = useEngine();

const [MEMORY, CPU, CPUSET, PIDS] = ["memory", "cpu", "cpuset", "pids"].map(controller);
const MEMORY_LIMIT = cgroupFile("memory/memory.limit_in_bytes", "memory.max");
const SHARES = cgroupFile("cpu/cpu.shares", "cpu.weight");

/** What files of the container's own cgroup say from inside. */
async function values(options: readonly string[], ...files: readonly string[]): Promise<string[]> {
  const { out, err, exitCode } = await engine.run([...options, "busybox", "cat", ...files]);
  expect({ err, exitCode }).toEqual({ err: "", exitCode: 0 });
  return out.split("\n");
}

/** A limit that is refused: nothing runs, the error names what was asked for. */
async function refused(options: readonly string[], ...words: readonly string[]): Promise<void> {
  const { out, err, exitCode } = await engine.run([...options, "busybox", "echo", "ran"]);
  expect({ exitCode, out }).toEqual({ exitCode: 125, out: "" });
  for (const word of words) expect(err).toContain(word);
}

/** A block device of this machine: its path and its number. */
function blockDevice(): { readonly path: string; readonly number: string } | undefined {
  for (const name of readdirSync("/sys/block")) {
    const [path, number] = [`/dev/${name}`, readFileSync(`/sys/block/${name}/dev`, "utf8").trim()];
    if (existsSync(path) && statSync(path).isBlockDevice()) return { path, number };
  }
  return undefined;
}

describe("block devices", () => {
  const device = blockDevice();
  const missing = device === undefined ? "no block device" : undefined;
  const isV1 = existsSync("/sys/fs/cgroup/blkio/blkio.throttle.read_bps_device");
  const throttles = controllerFile("blkio/blkio.throttle.read_bps_device", "mydocker/io.max");

  testIf([throttles, missing], "are limited in bytes and operations a second", async () => {
    const { path, number } = device ?? { path: "", number: "" };
    const options = [
      ...["--device-read-bps", `${path}:1mb`, "--device-write-bps", `${path}:2mb`],
      ...["--device-read-iops", `${path}:100`, "--device-write-iops", `${path}:200`],
    ];
    const folder = "/sys/fs/cgroup/blkio/blkio.throttle";
    const files = isV1
      ? ["read_bps", "write_bps", "read_iops", "write_iops"].map(
          (kind) => `${folder}.${kind}_device`,
        )
      : ["/sys/fs/cgroup/io.max"];
    const said = await values(options, ...files);
    expect(said).toEqual(
      isV1
        ? [1 << 20, 2 << 20, 100, 200].map((rate) => `${number} ${rate}`)
        : [`${number} rbps=1048576 wbps=2097152 riops=100 wiops=200`],
    );
  });

  testIf([], "that are none, and weights that cannot be, are errors", async () => {
    await refused(
      ["--device-read-bps", "/dev/null:1mb"],
      "cannot limit /dev/null: it is no block device",
    );
    await refused(
      ["--device-read-bps", "/dev/no/such:1mb"],
      "/dev/no/such: no such file or directory",
    );
    await refused(["--blkio-weight", "5"], "Range of blkio weight is from 10 to 1000");
    await refused(["--memory-swappiness", "101"], "valid memory swappiness range is 0-100");
  });
});

describe("memory", () => {
  testIf(
    [MEMORY, controllerFile("memory/memory.swappiness")],
    "is swapped as readily as asked for, and waited for instead of killed",
    async () => {
      const folder = "/sys/fs/cgroup/memory/memory";
      const options = ["-m", "64m", "--memory-swappiness", "7", "--oom-kill-disable"];
      const said = await values(options, `${folder}.swappiness`, `${folder}.oom_control`);
      expect(said.slice(0, 2)).toEqual(["7", "oom_kill_disable 1"]);
    },
  );

  testIf([MEMORY], "limits are set, in every spelling", async () => {
    for (const options of [
      ["-m", "64m"],
      ["--memory", "67108864"],
      ["--memory=65536k"],
      ["-mem", "64m"],
    ]) {
      expect(await values(options, MEMORY_LIMIT)).toEqual(["67108864"]);
    }
  });

  testIf([MEMORY], "reservations are set", async () => {
    const file = cgroupFile("memory/memory.soft_limit_in_bytes", "memory.low");
    expect(await values(["-m", "64m", "--memory-reservation", "32m"], file)).toEqual(["33554432"]);
  });

  testIf(
    [
      MEMORY,
      controllerFile(
        "memory/memory.memsw.limit_in_bytes",
        "memory.swap.max",
        "mydocker/memory.swap.max",
      ),
    ],
    "limits of memory and swap together are set",
    async () => {
      const file = cgroupFile("memory/memory.memsw.limit_in_bytes", "memory.swap.max");
      const [limit] = await values(["-m", "64m", "--memory-swap", "96m"], file);
      expect(limit).toBe(file.includes("memsw") ? String(96 << 20) : String(32 << 20));
    },
  );

  testIf([MEMORY], "a hog over the limit dies with 137, and the host does not notice", async () => {
    const before = process.memoryUsage.rss();
    for (let i = 0; i < 3; i++) {
      const { exitCode } = await engine.run(["-m", "32m", "busybox", "tail", "/dev/zero"]);
      expect(exitCode).toBe(137);
    }
    expect(process.memoryUsage.rss()).toBeLessThan(before + (256 << 20));
  });

  testIf([MEMORY], "a hog that is not pid 1 dies alone, and files in /dev/shm count", async () => {
    const script =
      "tail /dev/zero; echo $?; dd if=/dev/zero of=/dev/shm/x bs=1M count=60 2>/dev/null; echo $?";
    const { out } = await engine.run(["-m", "32m", "busybox", "sh", "-c", script]);
    expect(out.split("\n").filter((line) => /^\d+$/.test(line))).toEqual(["137", "137"]);
  });

  testIf([MEMORY], "below the limit everything runs", async () => {
    const { out, exitCode } = await engine.run([
      "-m",
      "64m",
      "busybox",
      "sh",
      "-c",
      "dd if=/dev/zero bs=20M count=1 2>/dev/null | wc -c",
    ]);
    expect({ out, exitCode }).toEqual({ out: "20971520", exitCode: 0 });
  });

  test("too little, or no number, is refused", async () => {
    await refused(["-m", "1k"], "memory");
    await refused(["-m", "much"], "much");
    await refused(["-m", "64m", "--memory-swap", "32m"], "swap");
    await refused(["-m", "64m", "--memory-reservation", "128m"], "reservation");
  });
});

describe("cpu", () => {
  testIf([CPU], "quota and period are set", async () => {
    const files =
      cgroupFile("", "") === "/sys/fs/cgroup/" && existsSync("/sys/fs/cgroup/cgroup.controllers")
        ? ["/sys/fs/cgroup/cpu.max"]
        : ["/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "/sys/fs/cgroup/cpu/cpu.cfs_period_us"];
    const read = async (...options: string[]) => (await values(options, ...files)).join(" ");
    expect(await read("--cpus", "0.5")).toBe("50000 100000");
    expect(await read("--cpus=1")).toBe("100000 100000");
    expect(await read("-cpu", "0.25")).toBe("25000 100000");
    expect(await read("--cpu-quota", "20000", "--cpu-period", "50000")).toBe("20000 50000");
  });

  testIf([CPU], "shares are set", async () => {
    const [shares] = await values(["--cpu-shares", "512"], SHARES);
    expect(shares).toBe(SHARES.endsWith("weight") ? "59" : "512"); // 512 shares of 1024 are weight 59 with version 2's formula
    expect(await values(["-c", "2048"], SHARES)).not.toEqual([shares as string]);
  });

  testIf([CPU], "a busy loop under --cpus 0.5 uses half a processor", async () => {
    const usage = cgroupFile("cpuacct/cpuacct.usage", "cpu.stat");
    const script = `timeout -s KILL 2 sh -c 'while :; do :; done'; grep -oE '^(usage_usec )?[0-9]+$' ${usage} | head -1`;
    let most = 0;
    // Two seconds of wall time. How much of them the loop gets is up to others on the machine, so that it
    // may take several to get what it may have; it never gets more.
    for (let attempt = 0; attempt < 10 && most <= 0.6; attempt++) {
      const { out } = await engine.run(["--cpus", "0.5", "busybox", "sh", "-c", script]);
      const last = out.split("\n").at(-1) as string;
      const seconds = last.startsWith("usage_usec")
        ? Number(last.split(" ")[1]) / 1e6
        : Number(last) / 1e9;
      expect(seconds).toBeLessThan(1.25);
      most = Math.max(most, seconds);
    }
    expect(most).toBeGreaterThan(0.6);
  });

  test("values out of range are refused", async () => {
    await refused(["--cpus", "-1"], "-1");
    await refused(["--cpus", "4096"], "CPUs");
    await refused(["--cpus", "many"], "many");
    await refused(["--cpus", "0.5", "--cpu-quota", "1000"], "cpu");
    await refused(["--cpu-period", "10"], "10");
  });
});

describe("cpuset", () => {
  testIf([CPUSET], "processors and memory nodes are set", async () => {
    for (const options of [
      ["--cpuset-cpus", "0"],
      ["-cpuset", "0"],
    ]) {
      const { out } = await engine.run([
        ...options,
        "--cpuset-mems",
        "0",
        "busybox",
        "sh",
        "-c",
        "nproc; grep -E '_allowed_list' /proc/self/status",
      ]);
      expect(out.split(/\n|\t/)).toEqual([
        "1",
        "Cpus_allowed_list:",
        "0",
        "Mems_allowed_list:",
        "0",
      ]);
    }
  });

  testIf([CPUSET], "without one all processors are there", async () => {
    expect((await engine.run(["busybox", "nproc"])).out).toBe(
      String(navigator.hardwareConcurrency),
    );
  });

  testIf([CPUSET], "a processor or node that is not there is an error that says so", async () => {
    await refused(["--cpuset-cpus", "999"], "cpuset", "cpus", "999");
    await refused(["--cpuset-mems", "99"], "cpuset", "mems", "99");
    await refused(["--cpuset-cpus", "x-y"], "x-y");
  });
});

describe("pids", () => {
  testIf([PIDS], "the limit is set", async () => {
    expect(await values(["--pids-limit", "64"], cgroupFile("pids/pids.max", "pids.max"))).toEqual([
      "64",
    ]);
    expect(await values(["--pids-limit", "-1"], cgroupFile("pids/pids.max", "pids.max"))).toEqual([
      "max",
    ]);
  });

  testIf([PIDS], "--init without room for a second process says so", async () => {
    const args = ["--init", "--pids-limit", "1", "busybox", "true"];
    const { exitCode, stderr } = await engine.run(args);
    expect({ exitCode, stderr: stderr.toString() }).toEqual({
      exitCode: 125,
      stderr:
        "mydocker: a second process beside the init of --init exceeds the container's limit (--pids-limit, --ulimit nproc)\n",
    });
  });

  testIf([PIDS], "a fork bomb under --pids-limit 64 is stopped", async () => {
    const current = cgroupFile("pids/pids.current", "pids.current");
    const events = cgroupFile("pids/pids.events", "pids.events");
    // The kernel counts one more for the moment in which it refuses it (pids_try_charge): that is looked at again.
    const count = `read n <${current}; again=20; while [ $n -gt 64 ] && [ $again -gt 0 ]; do read n <${current}; again=$((again - 1)); done`;
    const running = engine.start([
      "run",
      "--rm",
      "--pids-limit",
      "64",
      "--name",
      "bomb",
      "busybox",
      "sh",
      "-c",
      `b() { b | b & }; b 2>/dev/null; echo lit; i=0; max=0; while [ $i -lt 100000 ]; do ${count}; [ $n -le $max ] || max=$n; i=$((i + 1)); done 2>/dev/null; read what refused <${events}; echo max $max refused $refused; exec sleep 60`,
    ]);
    const output = await running.waitForOutput(/refused \d+/);
    const max = Number(/max (\d+)/.exec(output)?.[1]);
    expect(Number(/refused (\d+)/.exec(output)?.[1])).toBeGreaterThan(0);
    expect(max).toBeLessThanOrEqual(64);
    expect((await engine.call(["rm", "-f", "bomb"])).exitCode).toBe(0);
    await running.end();
  });

  testIf([PIDS], "the limit counts for the command that is started, not for us", async () => {
    expect((await engine.run(["--pids-limit", "1", "busybox", "echo", "one"])).out).toBe("one");
    const { err } = await engine.run([
      "--pids-limit",
      "2",
      "busybox",
      "sh",
      "-c",
      "sleep 9 & (echo third); kill -9 $!",
    ]);
    expect(err).toContain("can't fork");
  });
});

test("each container has a cgroup of its own while it runs", async () => {
  const both = [1, 2].map(() =>
    engine.start([
      "run",
      "--rm",
      "-i",
      "busybox",
      "sh",
      "-c",
      "hostname; cat /proc/self/cgroup; echo ready; cat",
    ]),
  );
  const outputs = await Promise.all(both.map((running) => running.waitForOutput(/ready/)));
  const folders = cgroupFolders();
  for (const output of outputs) {
    const id = output.split("\n")[0] as string;
    expect(folders.filter((folder) => folder.includes(id)).length).toBeGreaterThan(0);
  }
  for (const running of both) running.stdin.end();
  await Promise.all(both.map((running) => running.end()));
  const left = cgroupFolders();
  for (const output of outputs)
    expect(left.join(" ")).not.toContain(output.split("\n")[0] as string);
});

/** The container cgroups of all hierarchies. */
function cgroupFolders(): string[] {
  const base = "/sys/fs/cgroup";
  return ["", ...readdirSync(base)].flatMap((name) => {
    const own = `${base}/${name}/mydocker`;
    return existsSync(own) ? readdirSync(own).map((each) => `${own}/${each}`) : [];
  });
}

test("what runs on in the background is killed with the container", async () => {
  const { exitCode } = await engine.run([
    "busybox",
    "sh",
    "-c",
    "for i in 1 2 3 4 5; do setsid sleep 1000 & done; exit 3",
  ]);
  expect(exitCode).toBe(3);
});

leavesNothingBehind(engine);
