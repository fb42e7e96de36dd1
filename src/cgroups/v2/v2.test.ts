/** The plans of cgroup v2's controllers: OCI's values, which are v1's, as v2 says them. */
import { describe, expect, test } from "bun:test";
import type { Controller } from "../controller.ts";
import type { Resources } from "../resources.ts";
import { cpu, sharesToWeight } from "./cpu.ts";
import { cpuset } from "./cpuset.ts";
import { hugetlb } from "./hugetlb.ts";
import { io, weightToV2 } from "./io.ts";
import { memory, oomKills } from "./memory.ts";
import { refuseNetwork } from "./network.ts";
import { pids } from "./pids.ts";
import { planUnified } from "./unified.ts";

function plan(
  controller: Controller,
  resources: Resources,
  files: Record<string, string> = {},
): string[] {
  return controller
    .plan(resources, (file) => files[file])
    .map(({ file, value, controller: name }) => {
      expect(name).toBe(controller.name);
      return `${file}=${value}`;
    });
}

describe("memory", () => {
  test("swap is what memory and swap have together, less memory", () => {
    expect(plan(memory, { memory: { limit: 1 << 20, swap: 3 << 20 } })).toEqual([
      "memory.swap.max=2097152",
      "memory.max=1048576",
    ]);
    expect(plan(memory, { memory: { limit: 1 << 20, swap: 1 << 20 } })[0]).toBe(
      "memory.swap.max=0",
    );
  });

  test("-1 is max, and unlimited memory takes the limit of swap away where swap is counted", () => {
    expect(plan(memory, { memory: { limit: 1 << 20, swap: -1 } })).toEqual([
      "memory.swap.max=max",
      "memory.max=1048576",
    ]);
    expect(plan(memory, { memory: { limit: -1 } })).toEqual(["memory.max=max"]);
    expect(plan(memory, { memory: { limit: -1 } }, { "memory.swap.max": "0" })).toEqual([
      "memory.swap.max=max",
      "memory.max=max",
    ]);
  });

  test("swap alone is reckoned from the limit in force", () => {
    const files = { "memory.max": "1048576" };
    expect(plan(memory, { memory: { swap: 2 << 20 } }, files)).toEqual(["memory.swap.max=1048576"]);
    expect(() => plan(memory, { memory: { swap: 2 << 20 } }, { "memory.max": "max" })).toThrow(
      "needs one of memory",
    );
    expect(() => plan(memory, { memory: { swap: 1 << 19 } }, files)).toThrow("less than the limit");
  });

  test("the reservation is the protected amount", () => {
    expect(plan(memory, { memory: { reservation: 4096 } })).toEqual(["memory.low=4096"]);
    expect(plan(memory, { memory: { limit: 0, swap: 0, reservation: 0 } })).toEqual([]);
  });

  test("what v2 has not is refused, unless it is asked for as off", () => {
    expect(() => plan(memory, { memory: { swappiness: 10 } })).toThrow("--memory-swappiness");
    expect(() => plan(memory, { memory: { disableOOMKiller: true } })).toThrow("OOM killer");
    expect(plan(memory, { memory: { swappiness: -1, disableOOMKiller: false } })).toEqual([]);
    expect(() => plan(memory, { memory: { limit: 100 } })).toThrow("less than one page");
  });

  test("checkBeforeUpdate refuses less than what is in use", () => {
    const resources = { memory: { limit: 1 << 20, checkBeforeUpdate: true } };
    expect(() => plan(memory, resources, { "memory.current": "2000000" })).toThrow(
      "cgroup memory: memory.max = 1048576: the group already uses 2000000 bytes (asked for by --memory)",
    );
    expect(plan(memory, resources, { "memory.current": "20" })).toEqual(["memory.max=1048576"]);
  });

  test("kills are those by the OOM killer, not the times the limit was met", () => {
    expect(oomKills(() => "low 0\nhigh 0\nmax 9\noom 4\noom_kill 2\noom_group_kill 0")).toBe(2);
    expect(oomKills(() => undefined)).toBe(0);
  });
});

describe("cpu", () => {
  test("shares become a weight through the ends of both scales and both defaults", () => {
    expect([0, 2, 512, 1024, 2048, 262144, 1e9].map(sharesToWeight)).toEqual([
      1, 1, 59, 100, 174, 10000, 10000,
    ]);
  });

  test("quota and period share a file, and what is not asked for stays", () => {
    const now = { "cpu.max": "30000 100000" };
    expect(plan(cpu, { cpu: { quota: 50000, period: 200000 } }, now)).toEqual([
      "cpu.max=50000 200000",
    ]);
    expect(plan(cpu, { cpu: { quota: 50000 } }, now)).toEqual(["cpu.max=50000"]);
    expect(plan(cpu, { cpu: { period: 200000 } }, now)).toEqual(["cpu.max=30000 200000"]);
    expect(plan(cpu, { cpu: { period: 200000 } })).toEqual(["cpu.max=max 200000"]);
    expect(plan(cpu, { cpu: { quota: -1 } }, now)).toEqual(["cpu.max=max"]);
  });

  test("the burst never exceeds the quota in between", () => {
    const now = { "cpu.max": "50000 100000", "cpu.max.burst": "40000" };
    expect(plan(cpu, { cpu: { quota: 20000, burst: 10000 } }, now)).toEqual([
      "cpu.max.burst=10000",
      "cpu.max=20000",
    ]);
    expect(plan(cpu, { cpu: { quota: 90000, burst: 80000 } }, now)).toEqual([
      "cpu.max=90000",
      "cpu.max.burst=80000",
    ]);
  });

  test("a group becomes idle after its weight, and stops being idle before", () => {
    expect(plan(cpu, { cpu: { shares: 1024, idle: 1 } })).toEqual(["cpu.weight=100", "cpu.idle=1"]);
    expect(plan(cpu, { cpu: { shares: 1024, idle: 0 } })).toEqual(["cpu.idle=0", "cpu.weight=100"]);
  });

  test("real-time limits are refused", () => {
    expect(() => plan(cpu, { cpu: { realtimeRuntime: 1 } })).toThrow("real-time");
    expect(() => plan(cpu, { cpu: { realtimePeriod: 1 } })).toThrow("real-time");
  });

  test("usage is in nanoseconds", () => {
    expect(cpu.stats?.(() => "usage_usec 1500\nuser_usec 1000")).toEqual({
      cpu: { usage: 1500000 },
    });
  });
});

test("cpuset: what the parent cannot give is refused, which the kernel would quietly widen", () => {
  const files = { "../cpuset.cpus.effective": "0-1", "../cpuset.mems.effective": "0" };
  expect(plan(cpuset, { cpu: { cpus: "1", mems: "0" } }, files)).toEqual([
    "cpuset.cpus=1",
    "cpuset.mems=0",
  ]);
  expect(() => plan(cpuset, { cpu: { cpus: "1,7" } }, files)).toThrow(
    "7 not available: there is 0-1",
  );
  expect(() => plan(cpuset, { cpu: { mems: "1" } }, files)).toThrow("--cpuset-mems");
});

test("pids: limits and figures", () => {
  expect(plan(pids, { pids: { limit: 64 } })).toEqual(["pids.max=64"]);
  const files: Record<string, string> = { "pids.current": "3", "pids.max": "max" };
  expect(pids.stats?.((file) => files[file])).toEqual({ pids: { current: 3 } });
  files["pids.max"] = "10";
  expect(pids.stats?.((file) => files[file])).toEqual({ pids: { current: 3, limit: 10 } });
});

describe("io", () => {
  test("weights are stretched to v2's scale, but not for BFQ", () => {
    expect([10, 500, 1000].map(weightToV2)).toEqual([1, 4950, 10000]);
    const blockIO = { weight: 500, weightDevice: [{ major: 8, minor: 0, weight: 10 }] };
    expect(plan(io, { blockIO })).toEqual(["io.weight=4950", "io.weight=8:0 1"]);
    expect(plan(io, { blockIO }, { "io.bfq.weight": "default 100" })).toEqual([
      "io.bfq.weight=500",
      "io.bfq.weight=8:0 10",
    ]);
  });

  test("throttles are keys of io.max, and 0 takes one away", () => {
    const device = { major: 8, minor: 0 };
    const blockIO = {
      throttleReadBpsDevice: [{ ...device, rate: 1 }],
      throttleWriteBpsDevice: [{ ...device, rate: 2 }],
      throttleReadIOPSDevice: [{ ...device, rate: 3 }],
      throttleWriteIOPSDevice: [{ ...device, rate: 0 }],
    };
    expect(plan(io, { blockIO })).toEqual([
      "io.max=8:0 rbps=1",
      "io.max=8:0 wbps=2",
      "io.max=8:0 riops=3",
      "io.max=8:0 wiops=max",
    ]);
    expect(() => plan(io, { blockIO: { leafWeight: 10 } })).toThrow("cgroup v2 has no such limit");
  });
});

test("hugetlb: the same limits under v2's names", () => {
  const resources = { hugepageLimits: [{ pageSize: "1GB", limit: 0 }] };
  expect(plan(hugetlb, resources, { "hugetlb.1GB.rsvd.max": "max" })).toEqual([
    "hugetlb.1GB.max=0",
    "hugetlb.1GB.rsvd.max=0",
  ]);
});

describe("unified", () => {
  test("passes files and values on", () => {
    expect(
      planUnified({ unified: { "memory.high": "1000", "hugetlb.2MB.max": "0" } }),
    ).toMatchObject([
      { controller: "memory", file: "memory.high", value: "1000" },
      { controller: "hugetlb", file: "hugetlb.2MB.max", value: "0" },
    ]);
    expect(planUnified({})).toEqual([]);
  });

  test("names no file of another cgroup", () => {
    for (const file of ["../memory.max", "a/memory.max", "memory", ".max", "memory..max", ""])
      expect(() => planUnified({ unified: { [file]: "1" } })).toThrow(
        "not the name of a cgroup file",
      );
  });
});

test("network: refused, for it is not there", () => {
  refuseNetwork({ network: {} });
  expect(() => refuseNetwork({ network: { classID: 1 } })).toThrow(
    "cgroup net_cls: net_cls.classid = 1: cgroup v2 has no such limit (asked for by linux.resources.network.classID)",
  );
});
