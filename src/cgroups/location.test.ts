import { describe, expect, test } from "bun:test";
import type { CgroupLayout, Hierarchy } from "./layout.ts";
import { locateCgroup, systemdPath, systemdUnit } from "./location.ts";

const hierarchy = (controller: string, mountRoot = "/"): Hierarchy => ({
  version: controller === "" ? 2 : 1,
  mountPoint: `/sys/fs/cgroup/${controller}`,
  mountRoot,
  controllers: controller === "" ? [] : [controller],
});
const MEMORY = hierarchy("memory");
const PIDS = hierarchy("pids");
const V2 = hierarchy("");
const v1: CgroupLayout = { mode: "v1", v1: [MEMORY, PIDS] };
const v2: CgroupLayout = { mode: "v2", v1: [], v2: V2 };
const OWN = "4:memory:/caller/own\n8:pids:/\n0::/user.slice/session.scope";

function locate(cgroupsPath: string, layout: CgroupLayout, at: Hierarchy, own = OWN): string {
  const request = { cgroupsPath, id: "ctr", systemd: false, layout, ownCgroup: () => own };
  const location = locateCgroup(request);
  return typeof location === "string" ? location : location(at);
}

test("an absolute path starts at the mount point, and no .. leads out", () => {
  expect(locate("/a/b/", v1, MEMORY)).toBe("/a/b");
  expect(locate("/../../a/./x/../b", v2, V2)).toBe("/a/b");
});

describe("a relative path, and none, start at the runtime's own cgroup", () => {
  test("of each hierarchy on v1", () => {
    expect(locate("a/b", v1, MEMORY)).toBe("/caller/own/a/b");
    expect(locate("a/b", v1, PIDS)).toBe("/a/b");
    expect(locate("", v1, MEMORY)).toBe("/caller/own/ctr");
    expect(locate("../../../a", v1, MEMORY)).toBe("/caller/own/a");
  });

  test("beside it on v2", () => {
    expect(locate("a", v2, V2)).toBe("/user.slice/a");
    expect(locate("", v2, V2, "0::/")).toBe("/ctr");
    expect(locate("", v2, V2, "0::/top")).toBe("/ctr");
  });

  test("as it is seen below the mount point", () => {
    const inside = hierarchy("memory", "/docker/one");
    expect(locate("a", v1, inside, "4:memory:/docker/one/x")).toBe("/x/a");
    expect(locate("a", v1, inside, "4:memory:/docker/one")).toBe("/a");
    expect(locate("a", v1, inside, "4:memory:/docker/onemore")).toBe("/a");
    expect(locate("a", v1, MEMORY, "4:memory:/../other")).toBe("/a");
  });
});

const unitPath = (text: string): string => systemdPath(systemdUnit(text, "ctr"));

test("slice:prefix:name is the path that systemd gives the unit", () => {
  expect(unitPath("machine.slice:libpod:1f")).toBe("/machine.slice/libpod-1f.scope");
  expect(unitPath("a-b-c.slice:p:n")).toBe("/a.slice/a-b.slice/a-b-c.slice/p-n.scope");
  expect(unitPath(":cri:n")).toBe("/system.slice/cri-n.scope");
  expect(unitPath("-.slice::n")).toBe("/-n.scope");
  expect(unitPath("a.slice:p:a-x.slice")).toBe("/a.slice/a-x.slice");
  const request = { cgroupsPath: "", id: "ctr", systemd: true, layout: v2, ownCgroup: () => "" };
  expect(locateCgroup(request)).toBe("/system.slice/mydocker-ctr.scope");
});

test("what is no unit is refused", () => {
  for (const text of [
    "/a/b",
    "a.slice:b",
    "a.slice:b:c:d",
    "a:b:c",
    "a--b.slice:p:n",
    ".slice:p:n",
  ])
    expect(() => unitPath(text)).toThrow("linux.cgroupsPath: not a cgroup");
  for (const text of ["a/b.slice:p:n", "a.slice:../p:n", "a.slice:p:n/../x", "a.slice:p:"])
    expect(() => unitPath(text)).toThrow("not a cgroup");
});
