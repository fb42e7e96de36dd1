/** The plans of cgroup v1's controllers. */
import { describe, expect, test } from "bun:test";
import type { Controller } from "../controller.ts";
import { rdma } from "../rdma_plan.ts";
import type { Resources } from "../resources.ts";
import { blkio } from "./blkio.ts";
import { cpu } from "./cpu.ts";
import { cpuset } from "./cpuset.ts";
import { hugetlb } from "./hugetlb.ts";
import { memory, oomKills } from "./memory.ts";
import { netCls } from "./net_cls.ts";
import { netPrio } from "./net_prio.ts";
import { pids } from "./pids.ts";

/** `file=value` of each write, in order, for a cgroup with these files. */
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

const NO_LIMIT = "9223372036854771712";

describe("memory", () => {
  const fresh = {
    "memory.limit_in_bytes": NO_LIMIT,
    "memory.memsw.limit_in_bytes": NO_LIMIT,
    "memory.usage_in_bytes": "0",
  };
  const limits = (limit: number | undefined, swap: number | undefined, files = fresh) =>
    plan(
      memory,
      {
        memory: {
          ...(limit === undefined ? {} : { limit }),
          ...(swap === undefined ? {} : { swap }),
        },
      },
      files,
    );

  test("a fresh cgroup is limited in memory first, which may not exceed the sum", () => {
    expect(limits(1 << 20, 2 << 20)).toEqual([
      "memory.limit_in_bytes=1048576",
      "memory.memsw.limit_in_bytes=2097152",
    ]);
  });

  test("raising starts with the sum, lowering with memory", () => {
    const now = {
      ...fresh,
      "memory.limit_in_bytes": "1048576",
      "memory.memsw.limit_in_bytes": "2097152",
    };
    expect(limits(4 << 20, 8 << 20, now)[0]).toBe("memory.memsw.limit_in_bytes=8388608");
    expect(limits(1 << 19, 1 << 20, now)[0]).toBe("memory.limit_in_bytes=524288");
  });

  test("unlimited swap is said before memory", () => {
    expect(limits(1 << 20, -1)).toEqual([
      "memory.memsw.limit_in_bytes=-1",
      "memory.limit_in_bytes=1048576",
    ]);
  });

  test("unlimited memory takes the limit of swap away too, where swap is counted", () => {
    expect(limits(-1, undefined)).toEqual([
      "memory.memsw.limit_in_bytes=-1",
      "memory.limit_in_bytes=-1",
    ]);
    expect(plan(memory, { memory: { limit: -1 } })).toEqual(["memory.limit_in_bytes=-1"]);
  });

  test("absent and 0 leave things as they are", () => {
    expect(limits(undefined, undefined)).toEqual([]);
    expect(limits(0, 0)).toEqual([]);
    expect(plan(memory, {})).toEqual([]);
  });

  test("the rest follows", () => {
    const resources = { memory: { reservation: 1 << 20, swappiness: 0, disableOOMKiller: true } };
    expect(plan(memory, resources)).toEqual([
      "memory.soft_limit_in_bytes=1048576",
      "memory.swappiness=0",
      "memory.oom_control=1",
    ]);
  });

  test("what the kernel would round to nothing, or misread, is refused with file and option", () => {
    expect(() => limits(1000, undefined)).toThrow(
      "cgroup memory: memory.limit_in_bytes = 1000: less than one page of memory (asked for by --memory)",
    );
    expect(() => limits(-2, undefined)).toThrow("memory.limit_in_bytes = -2");
    expect(() => limits(2 << 20, 1 << 20)).toThrow(/memsw.*less than the limit of memory alone/);
    expect(() => plan(memory, { memory: { swappiness: 101 } })).toThrow("not between 0 and 100");
  });

  test("checkBeforeUpdate refuses less than what is in use", () => {
    const busy = { ...fresh, "memory.usage_in_bytes": "5000000" };
    const check = { limit: 1 << 20, checkBeforeUpdate: true };
    expect(() => plan(memory, { memory: check }, busy)).toThrow("already uses 5000000 bytes");
    expect(plan(memory, { memory: check }, fresh)).toHaveLength(1);
  });

  test("kills are counted, and 0 on a kernel that does not count", () => {
    expect(oomKills(() => "oom_kill_disable 0\nunder_oom 0\noom_kill 3")).toBe(3);
    expect(oomKills(() => "oom_kill_disable 0\nunder_oom 0")).toBe(0);
  });

  test("figures have a limit only where there is one", () => {
    const files: Record<string, string> = {
      ...fresh,
      "memory.usage_in_bytes": "4096",
      "memory.stat": "cache 1\ninactive_file 5\ntotal_inactive_file 7",
      "memory.oom_control": "oom_kill 1",
    };
    const stats = () => memory.stats?.((file) => files[file]).memory;
    expect(stats()).toEqual({ usage: 4096, inactiveFile: 7, oomKills: 1 });
    files["memory.limit_in_bytes"] = "1048576";
    expect(stats()?.limit).toBe(1 << 20);
    expect(memory.stats?.(() => undefined)).toEqual({});
  });
});

describe("cpu", () => {
  test("shares, period, quota and burst are a file each", () => {
    const resources = { cpu: { shares: 512, quota: 50000, period: 100000, burst: 1000 } };
    expect(plan(cpu, resources)).toEqual([
      "cpu.shares=512",
      "cpu.cfs_period_us=100000",
      "cpu.cfs_quota_us=50000",
      "cpu.cfs_burst_us=1000",
    ]);
  });

  test("a shorter period is set after the quota, so that no step is looser than both states", () => {
    const now = { "cpu.cfs_quota_us": "50000", "cpu.cfs_period_us": "100000" };
    expect(plan(cpu, { cpu: { quota: 5000, period: 10000 } }, now)).toEqual([
      "cpu.cfs_quota_us=5000",
      "cpu.cfs_period_us=10000",
    ]);
    expect(plan(cpu, { cpu: { quota: 100000, period: 200000 } }, now)[0]).toBe(
      "cpu.cfs_period_us=200000",
    );
  });

  test("a smaller burst is set before a smaller quota, which may not be below it", () => {
    const now = { "cpu.cfs_burst_us": "40000", "cpu.cfs_quota_us": "50000" };
    expect(plan(cpu, { cpu: { quota: 20000, burst: 10000 } }, now)).toEqual([
      "cpu.cfs_burst_us=10000",
      "cpu.cfs_quota_us=20000",
    ]);
  });

  test("any negative quota is no limit, 0 is not asked for", () => {
    expect(plan(cpu, { cpu: { quota: -1 } })).toEqual(["cpu.cfs_quota_us=-1"]);
    expect(plan(cpu, { cpu: { quota: -500 } })).toEqual(["cpu.cfs_quota_us=-1"]);
    expect(plan(cpu, { cpu: { quota: 0, shares: 0, period: 0 } })).toEqual([]);
  });

  test("a group becomes idle after its shares, and stops being idle before", () => {
    expect(plan(cpu, { cpu: { shares: 2, idle: 1 } })).toEqual(["cpu.shares=2", "cpu.idle=1"]);
    expect(plan(cpu, { cpu: { shares: 2, idle: 0 } })).toEqual(["cpu.idle=0", "cpu.shares=2"]);
  });

  test("real-time limits are the period and then the runtime", () => {
    expect(plan(cpu, { cpu: { realtimeRuntime: 9, realtimePeriod: 10 } })).toEqual([
      "cpu.rt_period_us=10",
      "cpu.rt_runtime_us=9",
    ]);
  });
});

describe("cpuset", () => {
  const parent = { "../cpuset.cpus": "0-3", "../cpuset.mems": "0" };

  test("lists are written as given", () => {
    expect(plan(cpuset, { cpu: { cpus: "1,3", mems: "0" } }, parent)).toEqual([
      "cpuset.cpus=1,3",
      "cpuset.mems=0",
    ]);
    expect(plan(cpuset, { cpu: { cpus: "" } }, parent)).toEqual([]);
  });

  test("what the parent does not have, or is no list, is refused", () => {
    expect(() => plan(cpuset, { cpu: { cpus: "2-5" } }, parent)).toThrow(
      "cgroup cpuset: cpuset.cpus = 2-5: 4,5 not available: there is 0-3 (asked for by --cpuset-cpus)",
    );
    for (const cpus of ["x", "1-", "3-1", "0,,1", "0\n1", "-1", "99999999"])
      expect(() => plan(cpuset, { cpu: { cpus } }, parent)).toThrow("not a list such as");
  });

  test("a new one inherits what it has not, and only that", () => {
    const inherited = (files: Record<string, string>) =>
      cpuset.inherit?.((file) => files[file]).map(({ file, value }) => `${file}=${value}`);
    expect(inherited({ ...parent, "cpuset.cpus": "", "cpuset.mems": "" })).toEqual([
      "cpuset.cpus=0-3",
      "cpuset.mems=0",
    ]);
    expect(inherited({ ...parent, "cpuset.cpus": "1", "cpuset.mems": "" })).toEqual([
      "cpuset.mems=0",
    ]);
  });
});

test("pids: a negative limit is none, 0 is a limit", () => {
  expect(plan(pids, { pids: { limit: 64 } })).toEqual(["pids.max=64"]);
  expect(plan(pids, { pids: { limit: -1 } })).toEqual(["pids.max=max"]);
  expect(plan(pids, { pids: { limit: 0 } })).toEqual(["pids.max=0"]);
  expect(plan(pids, { pids: {} })).toEqual([]);
});

test("blkio: BFQ's files where it is loaded, CFQ's else, throttling by device", () => {
  const blockIO = {
    weight: 500,
    weightDevice: [{ major: 8, minor: 0, weight: 300 }],
    throttleReadBpsDevice: [{ major: 8, minor: 0, rate: 1000 }],
    throttleWriteIOPSDevice: [{ major: 8, minor: 16, rate: 0 }],
  };
  expect(plan(blkio, { blockIO }, { "blkio.bfq.weight": "100" })).toEqual([
    "blkio.bfq.weight=500",
    "blkio.bfq.weight_device=8:0 300",
    "blkio.throttle.read_bps_device=8:0 1000",
    "blkio.throttle.write_iops_device=8:16 0",
  ]);
  expect(plan(blkio, { blockIO })[0]).toBe("blkio.weight=500");
});

test("hugetlb: reservations are limited too where the kernel counts them", () => {
  const resources = { hugepageLimits: [{ pageSize: "2MB", limit: 4096 }] };
  expect(plan(hugetlb, resources)).toEqual(["hugetlb.2MB.limit_in_bytes=4096"]);
  expect(plan(hugetlb, resources, { "hugetlb.2MB.rsvd.limit_in_bytes": "0" })).toHaveLength(2);
  expect(() => plan(hugetlb, { hugepageLimits: [{ pageSize: "../2MB", limit: 1 }] })).toThrow(
    "not a size such as 2MB",
  );
});

test("network: a class, and a priority for each interface", () => {
  const network = { classID: 0x100001, priorities: [{ name: "lo", priority: 5 }] };
  expect(plan(netCls, { network })).toEqual(["net_cls.classid=1048577"]);
  expect(plan(netPrio, { network })).toEqual(["net_prio.ifpriomap=lo 5"]);
  expect(plan(netCls, { network: {} })).toEqual([]);
  expect(() =>
    plan(netPrio, { network: { priorities: [{ name: "lo 1\neth0", priority: 5 }] } }),
  ).toThrow("not the name of a network interface");
});

test("rdma: handles and objects, as far as they are limited", () => {
  const limits = { mlx5_0: { hcaHandles: 2, hcaObjects: 2000 }, mlx4_0: { hcaObjects: 1 }, x: {} };
  expect(plan(rdma, { rdma: limits })).toEqual([
    "rdma.max=mlx5_0 hca_handle=2 hca_object=2000",
    "rdma.max=mlx4_0 hca_object=1",
  ]);
});
