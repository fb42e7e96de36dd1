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
  for (const name of ["sh", "sleep", "mknod", "true"])
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
