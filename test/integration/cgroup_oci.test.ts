/** cgroups of the OCI runtime, seen from the host: where they are, what they let in, what is left. */
import { afterAll, beforeAll, describe, expect } from "bun:test";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readLayout } from "../../src/cgroups/layout.ts";
import { EXECUTABLE } from "../helpers/cli.ts";
import { isUnified } from "../helpers/container_facts.ts";
import { controller, program, root, testIf } from "../helpers/requires.ts";

const NAME = `mydocker-test-${process.pid}`;
const needs = [root(), program("busybox")];
const isV1 = isUnified ? "no cgroup v1" : undefined;
const layout = root() === undefined ? readLayout() : { mode: "none" as const, v1: [] };
const mounts = [...layout.v1, ...(layout.v2 === undefined ? [] : [layout.v2])];

let bundle: string;
beforeAll(() => {
  bundle = mkdtempSync(join(tmpdir(), "mydocker-oci-"));
  for (const name of ["bin", "proc", "dev"])
    mkdirSync(join(bundle, "rootfs", name), { recursive: true });
  const busybox = Bun.which("busybox");
  if (busybox !== null) cpSync(busybox, join(bundle, "rootfs/bin/busybox"));
  for (const name of ["sh", "sleep", "mknod", "true", "tail"])
    symlinkSync("busybox", join(bundle, "rootfs/bin", name));
});
afterAll(() => {
  rmSync(bundle, { recursive: true });
  for (const { mountPoint } of mounts)
    if (existsSync(`${mountPoint}/${NAME}`)) rmdirSync(`${mountPoint}/${NAME}`);
});

/** Calls the runtime. Its output goes to files: a container keeps a pipe open for as long as it lives. */
function oci(...args: string[]) {
  const [out, err] = ["out", "err"].map((name) => join(bundle, name)) as [string, string];
  for (const path of [out, err]) writeFileSync(path, "");
  const { exitCode } = Bun.spawnSync(
    [EXECUTABLE, "oci", "--root", join(bundle, "state"), ...args],
    { cwd: bundle, stdio: ["ignore", Bun.file(out), Bun.file(err)] },
  );
  return { exitCode, out: readFileSync(out, "utf8"), err: readFileSync(err, "utf8") };
}

/** Writes config.json. */
function configure(args: string[], linux: object = {}): void {
  const capabilities = ["CAP_MKNOD", "CAP_SYSLOG"];
  const sets = { bounding: capabilities, effective: capabilities, permitted: capabilities };
  const config = {
    ociVersion: "1.2.0",
    root: { path: "rootfs" },
    process: {
      args,
      cwd: "/",
      env: ["PATH=/bin"],
      user: { uid: 0, gid: 0 },
      capabilities: sets,
    },
    mounts: [
      { destination: "/proc", type: "proc", source: "proc" },
      { destination: "/dev", type: "tmpfs", source: "tmpfs", options: ["mode=755"] },
    ],
    linux: { namespaces: [{ type: "pid" }, { type: "mount" }], ...linux },
  };
  writeFileSync(join(bundle, "config.json"), JSON.stringify(config));
}

/** What the host says of the cgroups of a container that sleeps; it is deleted afterwards. */
function cgroupsOf(id: string, linux: object, ...options: string[]): string {
  configure(["sleep", "1000"], linux);
  expect(oci(...options, "create", id)).toMatchObject({ err: "", exitCode: 0 });
  const { pid } = JSON.parse(oci("state", id).out);
  const text = readFileSync(`/proc/${pid}/cgroup`, "utf8");
  expect(oci("delete", "--force", id)).toMatchObject({ exitCode: 0, err: "" });
  return text;
}

/** The path in the pids hierarchy, which the tests' own process has at the root or anywhere. */
const pathOf = (text: string) => /^(?:\d+:(?:\S*,)?pids(?:,\S*)?|0:):(.*)$/m.exec(text)?.[1];
const own = () => pathOf(readFileSync("/proc/self/cgroup", "utf8"))?.replace(/\/$/, "") ?? "";

describe("cgroupsPath", () => {
  testIf(needs, "that is absolute is where it says", () => {
    expect(pathOf(cgroupsOf("abs", { cgroupsPath: `/${NAME}/one` }))).toBe(`/${NAME}/one`);
  });

  testIf([...needs, isV1], "that is relative, or missing, is below the caller's own cgroup", () => {
    expect(pathOf(cgroupsOf(`${NAME}-rel`, { cgroupsPath: `${NAME}-a` }))).toBe(
      `${own()}/${NAME}-a`,
    );
    expect(pathOf(cgroupsOf(`${NAME}-none`, {}))).toBe(`${own()}/${NAME}-none`);
  });

  testIf([...needs, isV1, controller("blkio")], "holds for what engines read figures from", () => {
    const text = cgroupsOf("figures", { cgroupsPath: `/${NAME}/figures` });
    for (const name of ["memory", "cpuacct", "pids", "blkio"])
      expect(text).toMatch(new RegExp(`:(\\S*,)?${name}(,\\S*)?:/${NAME}/figures$`, "m"));
  });

  testIf(needs, "with --systemd-cgroup is where systemd would have the unit", () => {
    const slice = NAME.replaceAll("-", "");
    const text = cgroupsOf("sys", { cgroupsPath: `${slice}-b.slice:p:n` }, "--systemd-cgroup");
    expect(pathOf(text)).toBe(`/${slice}.slice/${slice}-b.slice/p-n.scope`);
    for (const { mountPoint } of mounts) {
      const outer = `${mountPoint}/${slice}.slice`;
      if (!existsSync(outer)) continue;
      expect(existsSync(`${outer}/${slice}-b.slice/p-n.scope`)).toBe(false);
      rmdirSync(`${outer}/${slice}-b.slice`);
      rmdirSync(outer);
    }
  });

  testIf(needs, "where another container lives is refused, and that one lives on", () => {
    const linux = { cgroupsPath: `/${NAME}/shared` };
    configure(["sleep", "1000"], linux);
    expect(oci("run", "--detach", "first")).toMatchObject({ err: "", exitCode: 0 });
    const second = oci("run", "--detach", "second");
    expect(second.exitCode).not.toBe(0);
    expect(second.err).toContain("is not empty: 1 process(es) in it");
    expect(JSON.parse(oci("state", "first").out).status).toBe("running");
    expect(oci("state", "second").err).toContain("does not exist");
    expect(oci("delete", "--force", "first").exitCode).toBe(0);
  });
});

describe("of a container that runs", () => {
  const file = (id: string, v1: string, v2: string) =>
    readFileSync(
      isUnified
        ? `/sys/fs/cgroup/${NAME}/${id}/${v2}`
        : `/sys/fs/cgroup/${v1.replace("@", `${NAME}/${id}`)}`,
      "utf8",
    ).trim();
  const pidsMax = (id: string) => file(id, "pids/@/pids.max", "pids.max");
  const memoryMax = (id: string) => file(id, "memory/@/memory.limit_in_bytes", "memory.max");
  const MEMORY_AND_PIDS = ["memory", "pids"].map(controller);

  testIf([...needs, ...MEMORY_AND_PIDS], "limits are updated, or all stay as they were", () => {
    const resources = { memory: { limit: 64 << 20 }, pids: { limit: 50 } };
    configure(["sleep", "1000"], { cgroupsPath: `/${NAME}/update`, resources });
    expect(oci("run", "--detach", "update")).toMatchObject({ err: "", exitCode: 0 });
    try {
      expect(oci("update", "--pids-limit", "40", "update")).toMatchObject({ err: "", exitCode: 0 });
      expect([pidsMax("update"), memoryMax("update")]).toEqual(["40", String(64 << 20)]);
      const changes = { memory: { limit: 32 << 20 }, blockIO: { leafWeight: 5 } };
      writeFileSync(join(bundle, "resources.json"), JSON.stringify(changes));
      const refused = oci("update", "--resources", join(bundle, "resources.json"), "update");
      expect(refused.exitCode).not.toBe(0);
      expect(refused.err).toMatch(
        /leaf_weight = 5: .*asked for by linux\.resources\.blockIO\.leafWeight/,
      );
      expect([pidsMax("update"), memoryMax("update")]).toEqual(["40", String(64 << 20)]);
      const { type, data } = JSON.parse(oci("events", "--stats", "update").out);
      expect({ type, pids: data.pids, limit: data.memory.usage.limit }).toEqual({
        type: "stats",
        pids: { current: 1, limit: 40 },
        limit: 64 << 20,
      });
    } finally {
      oci("delete", "--force", "update");
    }
  });

  testIf([...needs, ...MEMORY_AND_PIDS], "events tell of a want of memory", async () => {
    const resources = { memory: { limit: 16 << 20 } };
    const script = "while ! [ -e /dev/go ]; do sleep 0.1; done; tail /dev/zero; sleep 1000";
    const linux = { cgroupsPath: `/${NAME}/oom`, resources, devices: [] };
    configure(["sh", "-c", script], linux);
    expect(oci("run", "--detach", "oom")).toMatchObject({ err: "", exitCode: 0 });
    const events = Bun.spawn(
      [EXECUTABLE, "oci", "--root", join(bundle, "state"), "events", "--interval", "60s", "oom"],
      { stdin: "ignore", stdout: "pipe", stderr: "ignore" },
    );
    try {
      const lines = events.stdout.pipeThrough(new TextDecoderStream()).getReader();
      const first = await lines.read();
      expect(JSON.parse(first.value ?? "").type).toBe("stats");
      // What it prints next can only be of the memory: the other events are a minute away.
      const { pid } = JSON.parse(oci("state", "oom").out);
      writeFileSync(`/proc/${pid}/root/dev/go`, "");
      const second = await lines.read();
      expect(JSON.parse(second.value?.split("\n")[0] ?? "")).toEqual({ type: "oom", id: "oom" });
    } finally {
      oci("delete", "--force", "oom");
    }
    expect(await events.exited).toBe(0);
  });
});

describe("device rules", () => {
  const probe = [
    "sh",
    "-c",
    "mknod /dev/log c 1 11; true </dev/log && r=opened; true </dev/null && echo null $r",
  ];
  const cgroupsPath = `/${NAME}/devices`;
  const rules: readonly (readonly [name: string, resources: object, said: string])[] = [
    ["without any, what every container may use", {}, "null\n"],
    ["that allow a device alone deny the others", rule({ allow: true, minor: 12 }), "null\n"],
    ["that allow a device", rule({ allow: true, minor: 11 }), "null opened\n"],
    ["that allow everything", { devices: [{ allow: true, access: "rwm" }] }, "null opened\n"],
  ];
  for (const [name, resources, said] of rules)
    testIf([...needs, isUnified ? undefined : controller("devices")], name, () => {
      configure(probe, { cgroupsPath, resources });
      expect(oci("run", "probe").out).toBe(said);
    });
});

function rule(values: object): object {
  return { devices: [{ type: "c", major: 1, access: "rw", ...values }] };
}
