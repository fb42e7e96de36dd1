/** What a correct configuration asks for and cannot have: of this machine, or of us. */
import { ifExists, readFile, stat, statIfExists } from "../linux/file.ts";
import type { NamespaceType } from "../namespaces/namespaces.ts";
import { ABILITIES, type Ability } from "./abilities.ts";
import { ConfigError } from "./config_error.ts";
import type { Process, Spec } from "./spec.ts";

/** Questions to the machine, asked only when the answer counts. */
export interface MachineFacts {
  readonly apparmor: () => boolean;
  readonly selinux: () => boolean;
  readonly resctrl: () => boolean;
  /** whether the kernel has namespaces of a type */
  readonly namespaces: (type: NamespaceType) => boolean;
  /** whether a namespace's file is the one that we are in ourselves */
  readonly isOwnNamespace: (path: string, type: NamespaceType) => boolean;
  /** uid_map or gid_map of a user namespace; undefined when its path does not tell a process in it */
  readonly idMap: (path: string, file: "uid_map" | "gid_map") => string | undefined;
}

const NAMESPACE_FILES: Readonly<Record<NamespaceType, string>> = {
  mount: "mnt",
  pid: "pid",
  network: "net",
  uts: "uts",
  ipc: "ipc",
  user: "user",
  cgroup: "cgroup",
  time: "time",
};

/** This machine. */
export const machineFacts: MachineFacts = {
  apparmor: () =>
    ifExists(() => readFile("/sys/module/apparmor/parameters/enabled"))?.startsWith("Y") === true,
  selinux: () => statIfExists("/sys/fs/selinux/enforce") !== undefined,
  resctrl: () => readFile("/proc/self/mountinfo").includes(" - resctrl "),
  namespaces: (type) => statIfExists(`/proc/self/ns/${NAMESPACE_FILES[type]}`) !== undefined,
  isOwnNamespace(path, type) {
    const other = statIfExists(path);
    const own = stat(`/proc/self/ns/${NAMESPACE_FILES[type]}`);
    return other?.ino === own.ino && other.devMinor === own.devMinor;
  },
  idMap(path, file) {
    const [, pid] = /^\/proc\/(\d+)\/ns\/user$/.exec(path) ?? [];
    return pid === undefined ? undefined : ifExists(() => readFile(`/proc/${pid}/${file}`));
  },
};

/** What has to be there for a field, besides us. */
const NEEDS: {
  readonly [field in Ability]?: readonly [fact: "apparmor" | "selinux" | "resctrl", why: string];
} = {
  "process.apparmorProfile": ["apparmor", "the kernel has no AppArmor, or it is switched off"],
  "process.selinuxLabel": ["selinux", "the kernel has no SELinux, or it is switched off"],
  "linux.intelRdt": ["resctrl", "no resctrl file system is mounted"],
};

function lacking(field: Ability, facts: MachineFacts): string | undefined {
  const [fact, why] = NEEDS[field] ?? [];
  if (fact !== undefined && !facts[fact]()) return `not to be had here: ${why}`;
  return ABILITIES[field] ? undefined : "mydocker does not support it";
}

function firstLacking(
  fields: readonly (readonly [field: Ability, asked: boolean])[],
  facts: MachineFacts,
  at = "",
): ConfigError | undefined {
  for (const [field, asked] of fields) {
    const what = asked ? lacking(field, facts) : undefined;
    if (what !== undefined) return new ConfigError({ path: field.slice(at.length), what });
  }
  return undefined;
}

function processFields(process: Process): (readonly [Ability, boolean])[] {
  return [
    // "unconfined" is what a process without a profile is.
    ["process.apparmorProfile", (process.apparmorProfile ?? "unconfined") !== "unconfined"],
    ["process.selinuxLabel", process.selinuxLabel !== undefined],
    ["process.scheduler", process.scheduler !== undefined],
    ["process.ioPriority", process.ioPriority !== undefined],
  ];
}

/**
 * The first thing in a process of `exec --process` that it cannot have.
 * @returns an error to throw, whose path is from the process
 */
export function unsupportedProcess(
  process: Process,
  facts: MachineFacts = machineFacts,
): ConfigError | undefined {
  // Only exec uses it: it "is not applicable to the container's init process".
  const affinity = ["process.execCPUAffinity", process.execCPUAffinity !== undefined] as const;
  return firstLacking([...processFields(process), affinity], facts, "process.");
}

/** The first thing in a configuration that it cannot have. @returns an error to throw */
export function unsupported(
  spec: Spec,
  facts: MachineFacts = machineFacts,
): ConfigError | undefined {
  const { linux } = spec;
  return (
    firstLacking(
      [
        ...processFields(spec.process),
        ["linux.netDevices", Object.keys(linux.netDevices).length > 0],
        ["linux.intelRdt", linux.intelRdt !== undefined],
        ["linux.memoryPolicy", (linux.memoryPolicy?.mode ?? "MPOL_DEFAULT") !== "MPOL_DEFAULT"],
        // LINUX32 of two: the other one is what every process has.
        ["linux.personality", linux.personality?.domain === "LINUX32"],
        ["linux.seccomp.listenerPath", isNotified(linux)],
      ],
      facts,
    ) ??
    unsupportedLabel(linux, facts) ??
    unsupportedNamespace(spec, facts) ??
    otherMappings(spec.linux, facts)
  );
}

/** A listener that no rule notifies is none: "this value is ignored", says the specification. */
function isNotified({ seccomp }: Spec["linux"]): boolean {
  return (seccomp?.syscalls ?? []).some(({ action }) => action === "SCMP_ACT_NOTIFY");
}

function unsupportedLabel(linux: Spec["linux"], facts: MachineFacts): ConfigError | undefined {
  if (linux.mountLabel === undefined || facts.selinux()) return undefined;
  const what = "not to be had here: the kernel has no SELinux, or it is switched off";
  return new ConfigError({ path: "linux.mountLabel", what });
}

function unsupportedNamespace(spec: Spec, facts: MachineFacts): ConfigError | undefined {
  const sysctls = Object.keys(spec.linux.sysctl);
  let index = 0;
  for (const { type, path } of spec.linux.namespaces) {
    const at = `linux.namespaces[${index++}]`;
    if (path === undefined && (type === "time" || type === "user") && !facts.namespaces(type)) {
      return new ConfigError({ path: `${at}.type`, what: `the kernel has no ${type} namespaces` });
    }
    if (path === undefined || type !== "network") continue;
    // As runc: the values of a network that the runtime is in itself are the host's, and its devices are there.
    const ours = sysctls.find((name) => /^net[./]/.test(name));
    const asked =
      ours !== undefined
        ? `linux.sysctl["${ours}"]`
        : Object.keys(spec.linux.netDevices).length > 0
          ? "linux.netDevices"
          : undefined;
    if (asked !== undefined && facts.isOwnNamespace(path, type)) {
      const what = `would be the host's: ${at}.path is mydocker's own network`;
      return new ConfigError({ path: asked, what });
    }
  }
  return undefined;
}

/** Mappings beside the path of a user namespace are written nowhere, so they have to be its own; as runc. */
function otherMappings(linux: Spec["linux"], facts: MachineFacts): ConfigError | undefined {
  const path = linux.namespaces.find(({ type }) => type === "user")?.path;
  if (path === undefined) return undefined;
  for (const [key, file] of [
    ["uidMappings", "uid_map"],
    ["gidMappings", "gid_map"],
  ] as const) {
    if (linux[key].length === 0) continue;
    const there = facts.idMap(path, file)?.trim().split("\n");
    if (there === undefined) continue;
    const own = there.map((line) => line.trim().replace(/\s+/g, " ")).sort();
    const asked = linux[key].map((map) => `${map.containerID} ${map.hostID} ${map.size}`).sort();
    if (asked.join() !== own.join()) {
      const what = `${asked.join(", ")}, but ${path} has ${own.join(", ")}`;
      return new ConfigError({ path: `linux.${key}`, what });
    }
  }
  return undefined;
}
