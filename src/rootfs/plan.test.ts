import { describe, expect, test } from "bun:test";
import { MOUNT_ATTR, MS } from "../linux/mount.ts";
import { planMount, planRootfs } from "./plan.ts";

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
    const options = ["noexec", "ro", "exec", "rw"];
    const op = planMount({ destination: "/a", type: "tmpfs", source: "t", options });
    expect(op).toMatchObject({ flags: 0, data: "" });
  });

  test("that binds is read-only on all mounts of its tree", () => {
    const options = ["rbind", "rslave", "ro", "nosuid"];
    expect(planMount({ destination: "/a", type: "bind", source: "/s", options })).toEqual({
      op: "bind",
      source: "/s",
      target: "/a",
      recursive: true,
      set: MOUNT_ATTR.MOUNT_ATTR_RDONLY | MOUNT_ATTR.MOUNT_ATTR_NOSUID,
      propagation: MS.MS_SLAVE,
    });
  });
});

describe("the plan", () => {
  const linux = {
    devices: [{ path: "/dev/null", type: "c", major: 1, minor: 3, fileMode: 0o666 }] as const,
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
      mounts: [mount("/sys/fs/cgroup", "tmpfs", "ro"), mount("/sys/fs/cgroup/cpu", "bind", "ro")],
      linux: { ...linux, maskedPaths: [], readonlyPaths: [] },
    });
    expect(ops.map(({ op }) => op)).toEqual(["mount", "bind", "attributes"]);
    expect(ops[0]).toMatchObject({ flags: 0 });
  });

  test("makes nodes and links only in a /dev of the container's own", () => {
    const own = planRootfs({ mounts: [mount("/dev", "tmpfs")], linux });
    expect(own.filter(({ op }) => op === "device")).toHaveLength(1);
    expect(own.filter(({ op }) => op === "symlink")).toHaveLength(5);
    const bound = planRootfs({ mounts: [mount("/dev", "bind", "rbind")], linux });
    expect(bound.map(({ op }) => op)).toEqual(["bind", "readonly", "mask"]);
  });
});
