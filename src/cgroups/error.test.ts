import { describe, expect, test } from "bun:test";
import { SysError } from "../ffi/call.ts";
import { type ErrnoCode, errnoNumbers } from "../ffi/errno.ts";
import type { CgroupWrite } from "./controller.ts";
import { CgroupError, mkdirError, refusedWrite } from "./error.ts";

const E = errnoNumbers();
const failed = (code: ErrnoCode) => new SysError("write", {}, E[code]);
const refused = (write: CgroupWrite, code: ErrnoCode, files: Record<string, string> = {}) =>
  refusedWrite(write, failed(code), (file) => files[file]);

const LIMIT: CgroupWrite = {
  controller: "memory",
  file: "memory.limit_in_bytes",
  value: "4096",
  field: "memory.limit",
};

describe("a refused limit", () => {
  test("names controller, file, value, reason and the option that asked for it", () => {
    const error = refused(LIMIT, "EINVAL");
    expect(error.message).toBe(
      "cgroup memory: memory.limit_in_bytes = 4096: EINVAL: invalid argument: the kernel does not take this value (asked for by --memory)",
    );
    expect(error).toBeInstanceOf(CgroupError);
    expect(error).toMatchObject({
      controller: "memory",
      file: "memory.limit_in_bytes",
      value: "4096",
      exitCode: 125,
    });
  });

  test("names the field where no option asks for it, and nothing where nobody did", () => {
    const burst = {
      controller: "cpu",
      file: "cpu.cfs_burst_us",
      value: "1",
      field: "cpu.burst",
    } as const;
    expect(refused(burst, "EINVAL").message).toEndWith("(asked for by linux.resources.cpu.burst)");
    const { field: _, ...inherited } = LIMIT;
    expect(refused(inherited, "EINVAL").message).not.toContain("asked for");
  });

  test("that is below what is used says how much that is", () => {
    const used = refused(LIMIT, "EBUSY", { "memory.usage_in_bytes": "8192" });
    expect(used.message).toContain("EBUSY: the group already uses 8192 bytes");
  });

  test("for a file that the kernel does not have says what it needs", () => {
    const needs = (file: string, controller = file.split(".")[0] as string) =>
      refused({ controller, file, value: "1" }, "ENOENT").hint;
    expect(needs("memory.memsw.limit_in_bytes")).toContain("swapaccount=1");
    expect(needs("cpu.cfs_quota_us")).toContain("CONFIG_CFS_BANDWIDTH");
    expect(needs("cpu.idle")).toContain("Linux 5.15");
    expect(needs("blkio.weight")).toContain("BFQ");
    expect(needs("hugetlb.3MB.max")).toContain("/sys/kernel/mm/hugepages");
  });

  test("of v2 tells a controller that is not handed down from a missing file", () => {
    const max = { ...LIMIT, file: "memory.max" };
    const children = {
      "cgroup.controllers": "cpu pids",
      "../cgroup.controllers": "cpu memory pids",
    };
    const blocked = refused(max, "ENOENT", { ...children, "../cgroup.procs": "1\n7" });
    expect(blocked.message).toContain("the parent cgroup cannot hand down the memory controller");
    expect(blocked.hint).toContain("processes in the parent cgroup");
    const absent = refused(max, "ENOENT", { "cgroup.controllers": "cpu pids" });
    expect(absent.message).toContain("no memory controller in this cgroup v2 hierarchy");
    expect(absent.hint).toContain("CONFIG_MEMCG");
    const there = refused(max, "ENOENT", { "cgroup.controllers": "cpu memory" });
    expect(there.message).toContain("the kernel has no such file");
  });

  test("for an unknown device, a read-only mount and a foreign processor say so", () => {
    const throttle = { controller: "io", file: "io.max", value: "9:9 rbps=1" };
    expect(refused(throttle, "ENODEV").message).toContain("no such block device");
    expect(refused(LIMIT, "EROFS").hint).toContain("read-only");
    const cpus = { controller: "cpuset", file: "cpuset.cpus", value: "3" };
    expect(refused(cpus, "EACCES", { "../cpuset.cpus": "0-1" }).message).toContain("which has 0-1");
  });
});

test("a cgroup that cannot be made says which limit was reached, and what to do", () => {
  const made = (code: ErrnoCode) => mkdirError("memory", "/sys/fs/cgroup/x", failed(code));
  for (const code of ["EAGAIN", "ENOSPC"] as const)
    expect(made(code).message).toContain("cgroup limit reached (cgroup.max.descendants");
  expect(made("EROFS").hint).toContain("mounted writable");
  expect(made("EEXIST").message).toContain("exists already");
  expect(made("ENAMETOOLONG").message).toBe(
    "cgroup memory: mkdir /sys/fs/cgroup/x: ENAMETOOLONG: file name too long",
  );
});
