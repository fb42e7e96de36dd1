import { describe, expect, test } from "bun:test";
import { leastConfig, put, stepsOf } from "../../test/helpers/oci_config.ts";
import { ABILITIES, type Ability } from "./abilities.ts";
import { type MachineFacts, machineFacts, unsupported, unsupportedProcess } from "./unsupported.ts";
import { parseConfig } from "./validate.ts";

const everything: MachineFacts = {
  apparmor: () => true,
  selinux: () => true,
  resctrl: () => true,
  namespaces: () => true,
  isOwnNamespace: () => false,
  idMap: () => undefined,
};
const nothing: MachineFacts = {
  apparmor: () => false,
  selinux: () => false,
  resctrl: () => false,
  namespaces: () => false,
  isOwnNamespace: () => true,
  idMap: () => undefined,
};

function specWith(...changes: (readonly [path: string, value: unknown])[]) {
  const config = leastConfig();
  for (const [path, value] of changes) put(config, stepsOf(path), value);
  return parseConfig(JSON.stringify(config));
}

const ASKED: Readonly<Record<Ability, unknown>> = {
  "process.apparmorProfile": "docker-default",
  "process.selinuxLabel": "system_u:system_r:svirt_lxc_net_t:s0",
  "process.scheduler": { policy: "SCHED_BATCH" },
  "process.ioPriority": { class: "IOPRIO_CLASS_IDLE" },
  "process.execCPUAffinity": { initial: "0" },
  "linux.netDevices": { eth0: {} },
  "linux.intelRdt": { closID: "group" },
  "linux.memoryPolicy": { mode: "MPOL_BIND", nodes: "0" },
  "linux.personality": { domain: "LINUX32" },
  "linux.seccomp.listenerPath": "/run/agent.sock",
};

const NOTIFY = [
  "linux.seccomp",
  {
    defaultAction: "SCMP_ACT_ALLOW",
    listenerPath: "/run/agent.sock",
    syscalls: [{ names: ["mount"], action: "SCMP_ACT_NOTIFY" }],
  },
] as const;

describe("what cannot be had is an error", () => {
  test.each(Object.entries(ASKED) as [Ability, unknown][])("%s", (field, value) => {
    const spec = specWith(
      ["linux.namespaces[1]", { type: "network" }],
      field === "linux.seccomp.listenerPath" ? NOTIFY : [field, value],
    );
    const error = field.startsWith("process.")
      ? unsupportedProcess(spec.process, everything)
      : unsupported(spec, everything);
    const path = field.replace("process.", "");
    expect(error?.message).toBe(
      ABILITIES[field] ? undefined : `${path}: mydocker does not support it`,
    );
  });

  test.each([
    ["process.apparmorProfile", "x", "the kernel has no AppArmor, or it is switched off"],
    ["process.selinuxLabel", "x", "the kernel has no SELinux, or it is switched off"],
    ["linux.mountLabel", "x", "the kernel has no SELinux, or it is switched off"],
    ["linux.intelRdt", {}, "no resctrl file system is mounted"],
  ])("%s on a machine without", (path, value, why) => {
    expect(unsupported(specWith([path, value]), nothing)?.message).toBe(
      `${path}: not to be had here: ${why}`,
    );
  });

  test("a namespace that the kernel has not", () => {
    const spec = specWith(["linux.namespaces[1]", { type: "time" }]);
    expect(unsupported(spec, nothing)?.message).toBe(
      "linux.namespaces[1].type: the kernel has no time namespaces",
    );
    expect(unsupported(spec, everything)).toBeUndefined();
  });

  test("a network device for a network that is the host's", () => {
    const network = { type: "network", path: "/proc/self/ns/net" };
    const spec = specWith(["linux.namespaces[1]", network], ["linux.netDevices", { eth0: {} }]);
    expect(unsupported(spec, nothing)?.message).toBe(
      "linux.netDevices: would be the host's: linux.namespaces[1].path is mydocker's own network",
    );
  });

  test("a kernel parameter of a network that is the host's", () => {
    const network = { type: "network", path: "/proc/self/ns/net" };
    const spec = specWith(
      ["linux.namespaces[1]", network],
      ["linux.sysctl", { "net.ipv4.ip_forward": "1" }],
    );
    expect(unsupported(spec, nothing)?.message).toBe(
      "linux.sysctl[\"net.ipv4.ip_forward\"]: would be the host's: linux.namespaces[1].path is mydocker's own network",
    );
    expect(unsupported(spec, everything)).toBeUndefined();
    expect(unsupported(spec, machineFacts)?.problem.path).toStartWith("linux.sysctl");
  });
});

test("mappings beside a user namespace that exists have to be its own", () => {
  const path = "/proc/4711/ns/user";
  const mappings = [
    { containerID: 0, hostID: 100000, size: 1000 },
    { containerID: 1000, hostID: 5, size: 1 },
  ];
  const spec = specWith(
    ["linux.namespaces[1]", { type: "user", path }],
    ["linux.uidMappings", mappings],
    ["linux.gidMappings", mappings],
  );
  const same = "      1000          5          1\n         0     100000       1000\n";
  const withMap = (text: string | undefined) =>
    unsupported(spec, { ...everything, idMap: () => text });
  expect(withMap(same)).toBeUndefined();
  expect(withMap(undefined)).toBeUndefined();
  expect(withMap("         0          0 4294967295\n")?.message).toBe(
    "linux.uidMappings: 0 100000 1000, 1000 5 1, but /proc/4711/ns/user has 0 0 4294967295",
  );
});

test("the machine is asked in its own words", () => {
  const own = `/proc/${process.pid}/ns/user`;
  expect(machineFacts.idMap(own, "uid_map")).toMatch(/^\s*\d+\s+\d+\s+\d+\n/);
  expect(machineFacts.idMap("/run/user-namespace", "uid_map")).toBeUndefined();
  expect(machineFacts.isOwnNamespace(`/proc/${process.pid}/ns/uts`, "uts")).toBe(true);
  expect(machineFacts.isOwnNamespace(`/proc/${process.pid}/ns/uts`, "ipc")).toBe(false);
  expect(machineFacts.isOwnNamespace("/no/such/file", "ipc")).toBe(false);
  expect(machineFacts.namespaces("mount")).toBe(true);
});

test("what asks for nothing is no error, and asks the machine nothing", () => {
  const spec = specWith(
    ["process.apparmorProfile", "unconfined"],
    ["process.execCPUAffinity", { initial: "0" }],
    ["linux.personality", { domain: "LINUX" }],
    ["linux.memoryPolicy", { mode: "MPOL_DEFAULT" }],
    ["linux.seccomp", { defaultAction: "SCMP_ACT_ALLOW", listenerPath: "/run/agent.sock" }],
    ["linux.namespaces[1]", { type: "pid" }],
  );
  const unasked = () => {
    throw new Error("asked");
  };
  const facts: MachineFacts = {
    apparmor: unasked,
    selinux: unasked,
    resctrl: unasked,
    namespaces: unasked,
    isOwnNamespace: unasked,
    idMap: unasked,
  };
  expect(unsupported(spec, facts)).toBeUndefined();
});
