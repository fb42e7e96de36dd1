import { expect, test } from "bun:test";
import { limitProperties } from "./systemd_scope.ts";

const INFINITY = 2n ** 64n - 1n;

/** Properties of these writes, by name. */
function told(
  writes: Readonly<Record<string, string>>,
  files: Readonly<Record<string, string>> = {},
): Record<string, unknown> {
  const list = Object.entries(writes).map(([file, value]) => ({ controller: "x", file, value }));
  return Object.fromEntries(
    limitProperties(list, (file) => files[file]).map(([name, { value }]) => [name, value]),
  );
}

test("limits are told by systemd's names, of v2 and of v1", () => {
  expect(told({ "memory.max": "1048576", "memory.swap.max": "max", "pids.max": "-1" })).toEqual({
    MemoryMax: 1048576n,
    MemorySwapMax: INFINITY,
    TasksMax: INFINITY,
  });
  expect(told({ "memory.limit_in_bytes": "4096", "cpu.shares": "512" })).toEqual({
    MemoryLimit: 4096n,
    CPUShares: 512n,
  });
  expect(told({ "io.weight": "8:0 50", "hugetlb.2MB.max": "0", "devices.deny": "a" })).toEqual({});
});

test("a share of processor time is told per second, in whole per cents, and not less", () => {
  const quota = (perSecond: bigint, period: bigint) => ({
    CPUQuotaPerSecUSec: perSecond,
    CPUQuotaPeriodUSec: period,
  });
  expect(told({ "cpu.max": "12500 50000" })).toEqual(quota(250_000n, 50_000n));
  expect(told({ "cpu.max": "12345 100000" })).toEqual(quota(130_000n, 100_000n));
  expect(told({ "cpu.max": "5000" }, { "cpu.max": "max 20000" })).toEqual(quota(250_000n, 20_000n));
  expect(told({ "cpu.max": "max 20000" })).toEqual(quota(INFINITY, 20_000n));
  const v1 = { "cpu.cfs_quota_us": "30000", "cpu.cfs_period_us": "100000" };
  expect(told({ "cpu.cfs_period_us": "60000" }, v1)).toEqual(quota(500_000n, 60_000n));
  expect(told({ "cpu.cfs_quota_us": "-1" }, v1)).toEqual(quota(INFINITY, 100_000n));
});

test("processors are told as bits", () => {
  expect(told({ "cpuset.cpus": "0-2,9", "cpuset.mems": "0" })).toEqual({
    AllowedCPUs: [7, 2],
    AllowedMemoryNodes: [1],
  });
  expect(told({ "cpuset.cpus": "\n" })).toEqual({ AllowedCPUs: [] });
});
