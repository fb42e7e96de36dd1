import { describe, expect, test } from "bun:test";
import { MOUNT_ATTR, MS } from "../linux/mount.ts";
import { type MountEntry, planMount, planRootfs, type RootfsFacts } from "./plan.ts";

const bind = (...options: string[]) =>
  planMount({ destination: "/a", type: "bind", source: "/s", options });
const changesOf = (...options: string[]) => {
  const op = bind(...options);
  return op.op === "bind" || op.op === "change" ? op.changes : [];
};

const { MOUNT_ATTR_RDONLY: RDONLY, MOUNT_ATTR_NOSUID: NOSUID } = MOUNT_ATTR;
const { MOUNT_ATTR_NOATIME: NOATIME, MOUNT_ATTR_STRICTATIME: STRICTATIME } = MOUNT_ATTR;
const ATIME = 0x70;

describe("a mount", () => {
  test("has flags for the options that are flags, and data for the others", () => {
    expect(
      planMount({
        destination: "/dev",
        type: "tmpfs",
        source: "tmpfs",
        options: ["nosuid", "strictatime", "mode=755", "size=65536k"],
      }),
    ).toEqual({
      op: "mount",
      type: "tmpfs",
      source: "tmpfs",
      target: "/dev",
      flags: MS.MS_NOSUID | MS.MS_STRICTATIME,
      data: "mode=755,size=65536k",
    });
  });

  test("takes a flag back with its opposite", () => {
    const options = ["noexec", "ro", "noatime", "exec", "rw", "atime"];
    const op = planMount({ destination: "/a", type: "tmpfs", source: "t", options });
    expect(op).toMatchObject({ flags: 0, data: "" });
  });

  test("has one setting of access times: the last", () => {
    const options = ["noatime", "strictatime"];
    const op = planMount({ destination: "/a", type: "tmpfs", options });
    expect(op).toMatchObject({ flags: MS.MS_STRICTATIME, source: "tmpfs" });
  });

  test("gets by a second call what mount(2) cannot say", () => {
    const options = ["rprivate", "ro"];
    expect(planMount({ destination: "/a", type: "ramfs", options })).not.toHaveProperty("changes");
    const shared = planMount({ destination: "/a", type: "ramfs", options: ["shared", "rnosuid"] });
    expect(shared).toMatchObject({
      changes: [
        { set: NOSUID, recursive: true },
        { propagation: MS.MS_SHARED, recursive: false },
      ],
    });
  });

  test.each([
    [{ destination: "/a" }, "it has no type"],
    [{ destination: "/a", type: "none", options: ["ro"] }, "it has no type"],
    [{ destination: "/a", type: "bind" }, "no source"],
    [{ destination: "/a", type: "ramfs", options: ["tmpcopyup"] }, "tmpcopyup"],
    [{ destination: "/a", type: "tmpfs", options: ["idmap"] }, "ids mapped"],
    [{ destination: "/a", type: "bind", source: "/s", options: ["idmap"] }, "uidMappings"],
  ] satisfies [MountEntry, string][])("%j is refused", (entry, reason) => {
    expect(() => planMount(entry)).toThrow(reason);
  });

  test("with a label needs SELinux", () => {
    const spec = { mounts: [{ destination: "/a", type: "tmpfs" }], linux: { mountLabel: "l:s0" } };
    expect(() => planRootfs(spec)).toThrow("SELinux");
    expect(planRootfs(spec, { selinux: true })[0]).toMatchObject({ data: 'context="l:s0"' });
  });
});

describe("a bind", () => {
  test.each<[readonly string[], readonly object[]]>([
    [["bind"], [{ set: 0, clear: 0, propagation: MS.MS_PRIVATE, recursive: false }]],
    [["rbind"], [{ propagation: MS.MS_PRIVATE, recursive: true }]],
    [
      ["rbind", "ro"],
      [
        { set: RDONLY, clear: 0, recursive: false },
        { propagation: MS.MS_PRIVATE, recursive: true },
      ],
    ],
    [
      ["rbind", "ro", "rro", "rprivate"],
      [{ set: RDONLY, clear: 0, propagation: MS.MS_PRIVATE, recursive: true }],
    ],
    [
      ["rbind", "nosuid", "rsuid"],
      [{ set: 0, clear: NOSUID, propagation: MS.MS_PRIVATE, recursive: true }],
    ],
    [
      ["bind", "ro", "nosuid", "rw"],
      [{ set: NOSUID, clear: RDONLY, propagation: MS.MS_PRIVATE, recursive: false }],
    ],
    [
      ["bind", "noatime"],
      [{ set: NOATIME, clear: ATIME, propagation: MS.MS_PRIVATE, recursive: false }],
    ],
    [
      ["bind", "noatime", "strictatime"],
      [{ set: STRICTATIME, clear: ATIME, propagation: MS.MS_PRIVATE, recursive: false }],
    ],
    [
      ["bind", "noatime", "norelatime"],
      [{ set: 0, clear: ATIME, propagation: MS.MS_PRIVATE, recursive: false }],
    ],
    [
      ["rbind", "private"],
      [
        { propagation: MS.MS_SLAVE, recursive: true },
        { propagation: MS.MS_PRIVATE, recursive: false },
      ],
    ],
    [
      ["rbind", "rslave", "rshared"],
      [
        { propagation: MS.MS_SLAVE, recursive: true },
        { propagation: MS.MS_SHARED, recursive: true },
      ],
    ],
  ])("with %j", (options, changes) => {
    const found = changesOf(...options).map((change) =>
      Object.fromEntries(Object.entries(change).filter(([key]) => !isEmptyBits(change, key))),
    );
    expect(found).toEqual(
      changes.map((change) =>
        Object.fromEntries(Object.entries(change).filter(([key]) => !isEmptyBits(change, key))),
      ),
    );
  });

  /** Bits of a call that has none at all say nothing. */
  function isEmptyBits(change: object, key: string): boolean {
    const { set = 0, clear = 0 } = change as { set?: number; clear?: number };
    return (key === "set" || key === "clear") && set === 0 && clear === 0;
  }

  test("needs no type, and its source may lie in the bundle", () => {
    const facts: RootfsFacts = { bundle: "/b" };
    for (const type of ["", "none", "bind"]) {
      const entry = { destination: "a/b", type, source: "s", options: ["rbind"] };
      expect(planMount(entry, facts)).toMatchObject({
        op: "bind",
        source: "/b/s",
        target: "/a/b",
        recursive: true,
      });
    }
  });

  test("with remount changes what is there", () => {
    expect(bind("remount", "bind", "ro")).toMatchObject({
      op: "change",
      target: "/a",
      changes: [{ set: RDONLY, recursive: false }],
    });
  });

  test("has the mappings of its own, else of the container", () => {
    const range = (hostID: number) => [{ containerID: 0, hostID, size: 1 }];
    const linux = { uidMappings: range(5), gidMappings: range(6) };
    const entry = { destination: "/a", type: "bind", source: "/s", options: ["rbind", "ridmap"] };
    expect(planMount(entry, {}, linux)).toMatchObject({
      idmap: { uid: range(5), gid: range(6), recursive: true },
    });
    const own = { ...entry, options: ["bind"], uidMappings: range(7), gidMappings: range(8) };
    expect(planMount(own, {}, linux)).toMatchObject({
      idmap: { uid: range(7), gid: range(8), recursive: false },
    });
  });
});

describe("a mount of type cgroup", () => {
  const entry = { destination: "/sys/fs/cgroup", type: "cgroup", options: ["ro", "nosuid"] };
  const v1 = [
    { name: "cpu,cpuacct", data: "cpu,cpuacct", directory: "/h/cpu/c" },
    { name: "systemd", data: "none,name=systemd", directory: "/h/systemd/c" },
  ];
  const plan = (cgroup?: RootfsFacts["cgroup"]) =>
    planRootfs({ mounts: [entry] }, cgroup === undefined ? {} : { cgroup }).filter(
      ({ op }) => op !== "device",
    );

  test("is a cgroup2 file system, or the container's directory if it cannot be mounted", () => {
    const unified = [{ name: "", data: "", directory: "/h/c" }];
    const [op] = plan({ version: 2, namespace: true, hierarchies: unified });
    expect(op).toMatchObject({ type: "cgroup2", otherwise: "/h/c", data: "" });
  });

  test("of version 1 shows the container's directories, and seals what holds them", () => {
    const ops = plan({ version: 1, namespace: false, hierarchies: v1 });
    expect(ops.slice(0, 5)).toMatchObject([
      { op: "mount", type: "tmpfs", sealed: true, flags: MS.MS_NOSUID, data: "mode=755" },
      { op: "bind", source: "/h/cpu/c", target: "/sys/fs/cgroup/cpu,cpuacct" },
      { op: "bind", source: "/h/systemd/c", target: "/sys/fs/cgroup/systemd" },
      { op: "symlink", path: "/sys/fs/cgroup/cpu", to: "cpu,cpuacct" },
      { op: "symlink", path: "/sys/fs/cgroup/cpuacct", to: "cpu,cpuacct" },
    ]);
    expect(ops.at(-1)).toEqual({ op: "seal", target: "/sys/fs/cgroup" });
  });

  test("of version 1 in a cgroup namespace mounts the hierarchies", () => {
    const ops = plan({ version: 1, namespace: true, hierarchies: v1 });
    expect(ops.slice(1, 3)).toMatchObject([
      { op: "mount", type: "cgroup", data: "cpu,cpuacct" },
      { op: "mount", type: "cgroup", data: "none,name=systemd" },
    ]);
  });

  test("needs a cgroup", () => {
    expect(() => plan()).toThrow("no cgroup");
  });
});

describe("the plan", () => {
  const linux = {
    devices: [{ path: "/dev/fuse", type: "c", major: 10, minor: 229 }] as const,
    maskedPaths: ["/proc/keys"],
    readonlyPaths: ["/proc/sys"],
  };
  const mount = (destination: string, type: string, ...options: string[]) => ({
    destination,
    type,
    source: type,
    options,
  });

  test("seals a read-only tmpfs after what is mounted in it", () => {
    const ops = planRootfs({
      mounts: [
        mount("/sys/fs/cgroup", "tmpfs", "ro"),
        mount("/sys/fs/cgroup/cpu", "bind", "ro"),
        mount("/dev", "bind"),
      ],
      linux: {},
    });
    expect(ops.map(({ op }) => op)).toEqual(["mount", "bind", "bind", "seal"]);
    expect(ops[0]).toMatchObject({ flags: 0 });
  });

  test("makes the default devices and links, unless /dev is the host's", () => {
    const own = planRootfs({ mounts: [mount("/dev", "tmpfs")], linux });
    const devices = own.filter((op) => op.op === "device");
    expect(devices.map(({ path }) => path)).toContain("/dev/null");
    expect(devices.at(-1)).toMatchObject({ path: "/dev/fuse", mode: 0o20666 });
    expect(own.filter(({ op }) => op === "symlink")).toHaveLength(5);
    const bound = planRootfs({ mounts: [mount("/dev", "bind", "rbind")], linux });
    expect(bound.map(({ op }) => op)).toEqual(["bind", "readonly", "mask"]);
  });

  test("makes what the caller says of a default device, and each type", () => {
    const ops = planRootfs({
      linux: {
        devices: [
          { path: "/dev/null", type: "u", major: 1, minor: 3, fileMode: 0o600, uid: 1, gid: 2 },
          { path: "/run/pipe", type: "p", fileMode: 0o644 },
          { path: "/disk", type: "b", major: 7, minor: 0 },
        ],
      },
    });
    const at = (path: string) => ops.filter((op) => op.op === "device" && op.path === path);
    expect(at("/dev/null")).toMatchObject([{ mode: 0o20600, uid: 1, gid: 2 }]);
    expect(at("/run/pipe")).toMatchObject([{ mode: 0o10644 }]);
    expect(at("/disk")).toMatchObject([{ mode: 0o60666, major: 7, minor: 0 }]);
  });
});
