import { describe, expect, test } from "bun:test";
import { checkCgroupPath, detectLayout, ownCgroups, swapIsCounted, v1Hierarchy } from "./layout.ts";

/** Debian 12, systemd. */
const UNIFIED = `22 28 0:20 / /sys rw,nosuid,nodev,noexec,relatime shared:7 - sysfs sysfs rw
28 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw,errors=remount-ro
30 22 0:26 / /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime shared:9 - cgroup2 cgroup2 rw,nsdelegate,memory_recursiveprot
31 22 0:27 / /sys/fs/pstore rw,nosuid,nodev,noexec,relatime shared:10 - pstore pstore rw`;

/** Ubuntu 20.04, systemd: controllers mounted together, v2 beside them without any. */
const HYBRID = `31 23 0:26 / /sys/fs/cgroup ro,nosuid,nodev,noexec shared:9 - tmpfs tmpfs ro,mode=755
32 31 0:27 / /sys/fs/cgroup/unified rw,nosuid,nodev,noexec,relatime shared:10 - cgroup2 cgroup2 rw,nsdelegate
33 31 0:28 / /sys/fs/cgroup/systemd rw,nosuid,nodev,noexec,relatime shared:11 - cgroup cgroup rw,xattr,name=systemd
36 31 0:31 / /sys/fs/cgroup/memory rw,nosuid,nodev,noexec,relatime shared:15 - cgroup cgroup rw,memory
37 31 0:32 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid,nodev,noexec,relatime shared:16 - cgroup cgroup rw,cpu,cpuacct
38 31 0:33 / /sys/fs/cgroup/net_cls,net_prio rw,nosuid,nodev,noexec,relatime shared:17 - cgroup cgroup rw,net_cls,net_prio
39 31 0:34 / /sys/fs/cgroup/cpuset rw,nosuid,nodev,noexec,relatime shared:18 - cgroup cgroup rw,cpuset,clone_children`;

/** In a container of Docker with cgroup v1 and no cgroup namespace. */
const NESTED = `1044 1040 0:28 /docker/4f1e /sys/fs/cgroup/systemd ro,nosuid,nodev,noexec,relatime master:11 - cgroup cgroup rw,xattr,name=systemd
1045 1040 0:31 /docker/4f1e /sys/fs/cgroup/memory rw,nosuid,nodev,noexec,relatime master:15 - cgroup cgroup rw,memory
1046 1040 0:32 /docker/4f1e /sys/fs/cgroup/cpu,cpuacct rw,nosuid,nodev,noexec,relatime master:16 - cgroup cgroup rw,cpu,cpuacct`;

/** A machine without systemd: each controller alone, no release agent, v2 beside them. */
const SEPARATE = `31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu
33 31 0:30 / /sys/fs/cgroup/cpuacct rw,relatime - cgroup cgroup rw,cpuacct
35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,name=systemd
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw`;

describe("detectLayout", () => {
  test("takes cgroup v2 alone for v2", () => {
    const layout = detectLayout(UNIFIED);
    expect(layout).toEqual({
      mode: "v2",
      v1: [],
      v2: { version: 2, mountPoint: "/sys/fs/cgroup", mountRoot: "/", controllers: [] },
    });
  });

  test("finds controllers that are mounted together, named hierarchies, and v2 beside them", () => {
    const layout = detectLayout(HYBRID);
    expect(layout.mode).toBe("hybrid");
    expect(layout.v2?.mountPoint).toBe("/sys/fs/cgroup/unified");
    expect(v1Hierarchy(layout, "cpuacct")).toEqual({
      version: 1,
      mountPoint: "/sys/fs/cgroup/cpu,cpuacct",
      mountRoot: "/",
      controllers: ["cpu", "cpuacct"],
    });
    expect(v1Hierarchy(layout, "cpu")).toBe(v1Hierarchy(layout, "cpuacct"));
    expect(layout.v1.find(({ name }) => name === "systemd")).toMatchObject({ controllers: [] });
    expect(v1Hierarchy(layout, "cpuset")?.controllers).toEqual(["cpuset"]);
    expect(v1Hierarchy(layout, "pids")).toBeUndefined();
  });

  test("keeps the mount root of a container in a container", () => {
    const layout = detectLayout(NESTED);
    expect(layout.mode).toBe("v1");
    expect(v1Hierarchy(layout, "memory")).toMatchObject({
      mountPoint: "/sys/fs/cgroup/memory",
      mountRoot: "/docker/4f1e",
    });
  });

  test("takes a machine with every controller alone for hybrid", () => {
    const layout = detectLayout(SEPARATE);
    expect(layout.mode).toBe("hybrid");
    expect(layout.v1.map(({ controllers }) => controllers.join())).toEqual([
      "cpu",
      "cpuacct",
      "memory",
      "",
    ]);
  });

  test("v2 with only systemd's named hierarchy beside it is v2", () => {
    const named = HYBRID.split("\n").filter((line) => /name=systemd|cgroup2/.test(line));
    expect(detectLayout(named.join("\n")).mode).toBe("v2");
  });

  test("says when there is none", () => {
    expect(detectLayout("22 28 0:20 / /sys rw - sysfs sysfs rw\n")).toEqual({
      mode: "none",
      v1: [],
    });
    expect(detectLayout("").mode).toBe("none");
  });

  test("is not fooled by a file system that is only called cgroup", () => {
    const line = "50 1 0:50 / /mnt/a\\040-\\040cgroup rw - tmpfs cgroup rw,memory";
    expect(detectLayout(line).mode).toBe("none");
  });

  test("decodes what mountinfo escapes", () => {
    const line = "50 1 0:50 / /mnt/my\\040c\\134groups rw - cgroup2 none rw";
    expect(detectLayout(line).v2?.mountPoint).toBe("/mnt/my c\\groups");
  });

  describe("of several mounts of one hierarchy", () => {
    const mount = (root: string, at: string, options = "rw") =>
      `60 1 0:31 ${root} ${at} ${options} - cgroup cgroup rw,memory`;
    const chosen = (lines: string[], own = "4:memory:/") =>
      v1Hierarchy(
        detectLayout(lines.join("\n"), () => own),
        "memory",
      )?.mountPoint;

    test("takes the writable one", () => {
      expect(chosen([mount("/", "/ro", "ro,nosuid"), mount("/", "/rw")])).toBe("/rw");
    });

    test("takes the one that this process is in", () => {
      const lines = [mount("/docker/x", "/sys/fs/cgroup/memory"), mount("/", "/host")];
      expect(chosen(lines)).toBe("/host");
      expect(chosen(lines, "4:memory:/docker/x/inner")).toBe("/sys/fs/cgroup/memory");
      expect(chosen(lines, "4:memory:/docker/xy")).toBe("/host");
    });

    test("takes the later of two on one directory", () => {
      const lines = [mount("/a", "/at"), mount("/b", "/at")];
      expect(v1Hierarchy(detectLayout(lines.join("\n")), "memory")?.mountRoot).toBe("/b");
    });

    test("asks for this process's own cgroups only then", () => {
      const asked = () => {
        throw new Error("asked");
      };
      expect(() => detectLayout(HYBRID, asked)).not.toThrow();
      expect(() => detectLayout(`${mount("/", "/a")}\n${mount("/", "/b")}`, asked)).toThrow(
        "asked",
      );
    });
  });
});

test("ownCgroups reads every hierarchy's path, with colons in it", () => {
  const own = ownCgroups("4:cpu,cpuacct:/a\n3:name=systemd:/b:c\n0::/user.slice\n\nnonsense\n");
  expect(Object.fromEntries(own)).toEqual({
    cpu: "/a",
    cpuacct: "/a",
    "name=systemd": "/b:c",
    "": "/user.slice",
  });
});

describe("checkCgroupPath", () => {
  test("lets plain paths pass", () => {
    for (const path of ["/a", "/mydocker/0f", "/system.slice/docker-1.scope", "/..a/b.."])
      expect(checkCgroupPath(path)).toBe(path);
  });

  test("refuses what could leave the hierarchy or cannot be made", () => {
    const bad = ["", "/", "a", "a/b", "/a/", "//a", "/a//b", "/..", "/a/../b", "/a/.", "/./a"];
    for (const path of [
      ...bad,
      "/a\nb",
      "/a\0b",
      `/${"x".repeat(256)}`,
      "/cgroup.procs/a",
      "/tasks",
    ])
      expect(() => checkCgroupPath(path)).toThrow("not a path for a cgroup");
  });
});

test("swap is counted on v2 unless an older kernel was told not to", () => {
  expect(swapIsCounted("quiet", "5.10.0-28-amd64")).toBe(true);
  expect(swapIsCounted("quiet swapaccount=0", "5.10.0-28-amd64")).toBe(false);
  expect(swapIsCounted("swapaccount=1", "5.10.0")).toBe(true);
  expect(swapIsCounted("swapaccount=0", "6.0.1")).toBe(false);
  expect(swapIsCounted("swapaccount=0", "6.1.0-21-cloud-amd64")).toBe(true);
  expect(swapIsCounted("swapaccount=0", "10.0")).toBe(true);
});
