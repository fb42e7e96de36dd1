/** Mounts and devices of a container in a user namespace of its own, by the OCI face. */

import { describe, expect, test } from "bun:test";
import { chmodSync, mkdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { makeBundle, runBundle } from "../helpers/bundle.ts";
import { leavesNothingBehind, useEngine } from "../helpers/cli.ts";

const engine = useEngine();

const MAPPINGS = [{ containerID: 0, hostID: 100_000, size: 1000 }];
const MOUNTS = [
  { destination: "/proc", type: "proc", source: "proc" },
  { destination: "/dev", type: "tmpfs", source: "tmpfs", options: ["nosuid", "mode=755"] },
  { destination: "/sys", source: "/sys", options: ["rbind", "rro"] },
  { destination: "/sys/fs/cgroup", type: "cgroup", source: "cgroup", options: ["ro", "nosuid"] },
  { destination: "/data", source: "data", options: ["bind", "idmap"] },
];

/** What a script prints in a container with mapped ids. @returns its output and the bundle */
async function inUserNamespace(name: string, script: string) {
  const types = ["user", "pid", "mount", "network", "ipc", "uts"];
  const bundle = await makeBundle(engine, name, {
    args: ["sh", "-c", script],
    mounts: MOUNTS,
    linux: {
      namespaces: types.map((type) => ({ type })),
      uidMappings: MAPPINGS,
      gidMappings: MAPPINGS,
      maskedPaths: ["/proc/keys", "/sys/firmware"],
      readonlyPaths: ["/proc/sys"],
    },
  });
  mkdirSync(join(bundle, "data"));
  writeFileSync(join(bundle, "data/file"), "");
  // Its root is nobody in particular to the host, and has to get there.
  for (const path of [engine.folder, join(engine.folder, "files"), bundle]) chmodSync(path, 0o755);
  await engine.bash(`chown -R 100000:100000 '${bundle}/rootfs'`);
  const { out, err, exitCode } = await runBundle(engine, bundle);
  expect({ err, exitCode }).toEqual({ err: "", exitCode: 0 });
  return { out, bundle };
}

describe("in a user namespace", () => {
  test("a bind with idmap belongs to whom it belongs on disk, both ways", async () => {
    const script = "id -u; stat -c %u:%g /data/file; touch /data/new";
    const { out, bundle } = await inUserNamespace("idmap", script);
    expect(out).toBe("0\n0:0");
    const { uid, gid } = statSync(join(bundle, "data/new"));
    expect({ uid, gid }).toEqual({ uid: 0, gid: 0 });
    // Without it, its root writes as the one that it is to the host, or not at all.
    expect(statSync(join(bundle, "rootfs/bin")).uid).toBe(100_000);
  });

  test("devices are the host's nodes, and work", async () => {
    const script = "stat -c %t:%T /dev/null /dev/zero; echo x >/dev/null; mknod /dev/x c 1 3";
    const { out } = await inUserNamespace("devices", `${script} 2>/dev/null || echo no more`);
    expect(out).toBe("1:3\n1:5\nno more");
  });

  test("cgroups are shown read-only, masks are there", async () => {
    const { out } = await inUserNamespace(
      "masks",
      "ls /sys/fs/cgroup | grep -c .; touch /sys/fs/cgroup/x 2>/dev/null || echo ro; cat /proc/keys; ls -A /sys/firmware; echo x 2>/dev/null >/proc/sys/kernel/hostname || echo ro",
    );
    const [count, ...rest] = out.split("\n");
    expect(Number(count)).toBeGreaterThan(0);
    expect(rest).toEqual(["ro", "ro"]);
  });
});

leavesNothingBehind(engine);
