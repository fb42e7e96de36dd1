import { expect, test } from "bun:test";
import { statisticsJson } from "./statistics.ts";
import { statisticsV1 } from "./v1/statistics.ts";
import { statisticsV2 } from "./v2/statistics.ts";

const from = (files: Record<string, string>) => (file: string) => files[file];

test("v1: figures of every controller, what is 0 left out as by runc", () => {
  const statistics = statisticsV1(
    from({
      "cpuacct.usage": "300",
      "cpuacct.usage_percpu": "100 200",
      "cpuacct.usage_all": "cpu user system\n0 70 30\n1 150 50",
      "cpuacct.stat": "user 2\nsystem 1",
      "cpu.stat": "nr_periods 5\nnr_throttled 0\nthrottled_time 7",
      "cpuset.cpus": "0-1,4",
      "cpuset.mems": "0",
      "cpuset.sched_load_balance": "1",
      "cpuset.sched_relax_domain_level": "-1",
      "memory.stat": "cache 5\nrss 6",
      "memory.limit_in_bytes": "9223372036854771712",
      "memory.usage_in_bytes": "11",
      "memory.memsw.failcnt": "3",
      "pids.current": "4",
      "pids.max": "max",
      "blkio.throttle.io_service_bytes_recursive": "8:0 Read 4096\n8:0 Write 0\nTotal 4096",
      "hugetlb.2MB.usage_in_bytes": "0",
    }),
  );
  expect(statistics).toMatchObject({
    cpu: {
      usage: {
        total: 300,
        percpu: [100, 200],
        percpu_kernel: [30, 50],
        percpu_user: [70, 150],
        kernel: 10_000_000,
        user: 20_000_000,
      },
      throttling: { periods: 5, throttledTime: 7 },
    },
    memory: {
      cache: 5,
      usage: { limit: 9223372036854771712n, usage: 11, failcnt: 0 },
      swap: { limit: 0, failcnt: 3 },
      raw: { cache: 5, rss: 6 },
    },
  });
  expect(statistics.cpuset).toEqual({
    ...{ cpus: [0, 1, 4], mems: [0], cpu_exclusive: 0, mem_hardwall: 0, mem_exclusive: 0 },
    ...{ memory_migrate: 0, memory_spread_page: 0, memory_spread_slab: 0, memory_pressure: 0 },
    ...{ sched_load_balance: 1, sched_relax_domain_level: -1 },
  });
  expect(statistics.pids).toEqual({ current: 4 });
  expect(statistics.blkio).toEqual({
    ioServiceBytesRecursive: [
      { major: 8, op: "Read", value: 4096 },
      { major: 8, op: "Write" },
    ],
  });
  expect(statistics.hugetlb).toEqual({ "2MB": { failcnt: 0 } });
});

test("v1: BFQ's figures are taken where there are any", () => {
  const files = {
    "blkio.bfq.io_serviced_recursive": "8:16 Sync 3",
    "blkio.throttle.io_serviced_recursive": "8:16 Read 9",
  };
  const bfq = [{ major: 8, minor: 16, op: "Sync", value: 3 }];
  expect(statisticsV1(from(files)).blkio).toEqual({ ioServicedRecursive: bfq });
});

test("v2: the same shape, swap counted together with memory", () => {
  const files = {
    "cpu.stat": "usage_usec 30\nuser_usec 20\nsystem_usec 10\nnr_periods 2\nthrottled_usec 5",
    "memory.stat": "anon 1\nfile 9",
    "memory.current": "100",
    "memory.max": "1000",
    "memory.peak": "120",
    "memory.swap.current": "7",
    "memory.swap.max": "500",
    "pids.current": "2",
    "pids.max": "10",
    "io.stat": "8:0 rbytes=4096 wbytes=0 rios=1 wios=0 dbytes=5 dios=5",
    "hugetlb.2MB.current": "4",
    "hugetlb.2MB.events": "max 3",
  };
  expect(statisticsV2(from(files))).toMatchObject({
    cpu: {
      usage: { total: 30000, kernel: 10000, user: 20000 },
      throttling: { periods: 2, throttledTime: 5000 },
    },
    memory: {
      cache: 9,
      usage: { limit: 1000, usage: 100, max: 120, failcnt: 0 },
      swap: { limit: 1500, usage: 107, failcnt: 0 },
    },
    pids: { current: 2, limit: 10 },
    blkio: {
      ioServiceBytesRecursive: [
        { major: 8, op: "Read", value: 4096 },
        { major: 8, op: "Write" },
      ],
      ioServicedRecursive: [
        { major: 8, op: "Read", value: 1 },
        { major: 8, op: "Write" },
      ],
    },
    hugetlb: { "2MB": { usage: 4, failcnt: 3 } },
  });
  const { memory } = statisticsV2(from({ "memory.max": "max", "memory.swap.max": "5" }));
  expect([memory.usage.limit, memory.swap.limit]).toEqual([2n ** 64n - 1n, 2n ** 64n - 1n]);
});

test("JSON has large counts exactly", () => {
  expect(statisticsJson({ a: 2n ** 64n - 1n, b: [1, 2n], c: {} })).toBe(
    '{"a":18446744073709551615,"b":[1,2],"c":{}}',
  );
});
