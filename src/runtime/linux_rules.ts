/** Rules for `linux` (config-linux.md). */
import type { NamespaceType } from "../namespaces/namespaces.ts";
import { ProfileError, validateSeccomp } from "../seccomp/validate.ts";
import {
  ABSOLUTE,
  BOOLEAN,
  CPU_LIST,
  ID_MAPPINGS,
  INT64,
  TEXT,
  TEXT_OR_NONE,
  TEXTS,
} from "./common_rules.ts";
import { ConfigError } from "./config_error.ts";
import type { ConfigReader, Draft, Rule, StructRule, TextCheck } from "./config_reader.ts";
import { DEVICE } from "./mount_rules.ts";
import { RESOURCES } from "./resource_rules.ts";
import { type IntelRdt, type Linux, type MemoryPolicy, ROOTFS_PROPAGATIONS } from "./spec.ts";

/** All that there are (namespaces(7)). */
export const NAMESPACE_TYPES = [
  "mount",
  "pid",
  "network",
  "uts",
  "ipc",
  "user",
  "cgroup",
  "time",
] as const satisfies NamespaceType[];

const NAMESPACE = {
  kind: "struct",
  fields: {
    type: { kind: "word", words: NAMESPACE_TYPES, required: true },
    path: { ...ABSOLUTE, emptyIsNone: true },
  },
} as const satisfies Rule;

const TIME_OFFSETS = {
  kind: "map",
  keys: {
    ok: (name) => name === "monotonic" || name === "boottime",
    expected: "a clock with an offset: monotonic or boottime",
  },
  of: {
    kind: "struct",
    fields: {
      secs: { ...INT64, otherwise: 0 },
      nanosecs: { kind: "integer", min: 0, max: 999_999_999, otherwise: 0 },
    },
  },
} as const satisfies Rule;

/** dev_valid_name() in the kernel's net/core/dev.c; IFNAMSIZ is 16 with the NUL. */
const isInterface = (name: string): boolean =>
  /^[^/:%\s]{1,15}$/.test(name) && name !== "." && name !== "..";
const IS_INTERFACE: TextCheck = { ok: isInterface, expected: "the name of a network interface" };
/** With %d at its end the kernel puts the first number there that is free. */
const IS_NEW_INTERFACE: TextCheck = {
  ok: (name) => name.length <= 15 && isInterface(name.replace(/%d$/, "0")),
  expected: "the name of a network interface",
};

const ONE_LINE = (start: string): TextCheck => ({
  ok: (text) => text.startsWith(start) && !text.includes("\n"),
  expected: start === "" ? "one line" : `one line that starts with ${start}`,
});

const INTEL_RDT = {
  kind: "struct",
  fields: {
    closID: TEXT_OR_NONE,
    schemata: { kind: "list", of: { kind: "text", check: ONE_LINE("") }, otherwise: [] },
    l3CacheSchema: { kind: "text", check: ONE_LINE(""), emptyIsNone: true },
    memBwSchema: { kind: "text", check: ONE_LINE("MB:"), emptyIsNone: true },
    enableMonitoring: { ...BOOLEAN, otherwise: false },
  },
  finish({ closID }: IntelRdt, reader) {
    // A directory of that name is made in resctrl; "/" is the default group.
    if (closID !== undefined && closID !== "/" && /^\.{1,2}$|\//.test(closID))
      reader.fail(`${JSON.stringify(closID)}, expected a file name or /`, "closID");
  },
} as const satisfies Rule;

const NODELESS: ReadonlySet<string> = new Set(["MPOL_DEFAULT", "MPOL_LOCAL"]);
const MEMORY_POLICY = {
  kind: "struct",
  fields: {
    mode: {
      kind: "word",
      words: [
        "MPOL_DEFAULT",
        "MPOL_BIND",
        "MPOL_INTERLEAVE",
        "MPOL_WEIGHTED_INTERLEAVE",
        "MPOL_PREFERRED",
        "MPOL_PREFERRED_MANY",
        "MPOL_LOCAL",
      ],
      required: true,
    },
    nodes: CPU_LIST,
    flags: {
      kind: "list",
      of: {
        kind: "word",
        words: ["MPOL_F_NUMA_BALANCING", "MPOL_F_RELATIVE_NODES", "MPOL_F_STATIC_NODES"],
      },
      otherwise: [],
    },
  },
  finish(policy: Draft<MemoryPolicy>, reader) {
    const { mode, nodes } = policy as { mode: string; nodes?: string };
    if (nodes !== undefined && NODELESS.has(mode))
      reader.fail(`${JSON.stringify(nodes)}, and ${mode} takes none`, "nodes");
    if (nodes === undefined && !NODELESS.has(mode) && mode !== "MPOL_PREFERRED")
      reader.fail(`missing, expected with ${mode}`, "nodes");
    policy.nodes = nodes ?? "";
  },
} as const satisfies Rule;

const SECCOMP = {
  kind: "other",
  read(value, path) {
    try {
      return validateSeccomp(value, path);
    } catch (cause) {
      if (!(cause instanceof ProfileError)) throw cause;
      throw new ConfigError(cause, { cause });
    }
  },
} as const satisfies Rule;

const PERSONALITY = {
  kind: "struct",
  fields: {
    domain: { kind: "word", words: ["LINUX", "LINUX32"], required: true },
    flags: TEXTS,
  },
  finish(personality: { flags?: readonly string[] }, reader) {
    const [flag] = personality.flags ?? [];
    if (flag !== undefined)
      reader.fail(`${JSON.stringify(flag)}, and there are no flags yet`, "flags", 0);
    delete personality.flags;
  },
} as const satisfies Rule;

/** sysctl(8): the first separator says which of them separates; the other one then stands for it. */
function sysctlPath(name: string): string {
  const first = /[./]/.exec(name)?.[0];
  if (first !== ".") return name;
  return name.replace(/[./]/g, (mark) => (mark === "." ? "/" : "."));
}

const IS_SYSCTL: TextCheck = {
  ok: (name) =>
    /^[^\s/.]+[/.]/.test(name) &&
    sysctlPath(name)
      .split("/")
      .every((part) => part !== "" && part !== "." && part !== ".."),
  expected: "a kernel parameter such as net.ipv4.ip_forward",
};

/** Which namespace a kernel parameter is of, by its path below /proc/sys (namespaces(7)). */
const SYSCTL_NAMESPACES: readonly (readonly [RegExp, NamespaceType])[] = [
  [/^net\//, "network"],
  [
    /^(kernel\/(msgmax|msgmnb|msgmni|sem|shmall|shmmax|shmmni|shm_rmid_forced)$|fs\/mqueue\/)/,
    "ipc",
  ],
  [/^kernel\/(domainname|hostname)$/, "uts"],
  [/^user\//, "user"],
];

function checkSysctls(linux: Draft<Linux>, reader: ConfigReader): void {
  const names = Object.keys(linux.sysctl);
  if (names.length === 0) return;
  for (const name of names) {
    const path = sysctlPath(name);
    const type = SYSCTL_NAMESPACES.find(([pattern]) => pattern.test(path))?.[1];
    if (type === undefined)
      reader.fail("is the same for the whole machine: no namespace has its own", "sysctl", name);
    if (!linux.namespaces.some((entry) => entry.type === type))
      reader.fail(`would be the host's: there is no ${type} namespace`, "sysctl", name);
    if (path === "kernel/hostname") reader.fail("set hostname instead", "sysctl", name);
  }
  linux.sysctl = Object.fromEntries(
    Object.entries(linux.sysctl).map(([name, value]) => [
      name.includes("/") && name.includes(".") ? sysctlPath(name) : name,
      value,
    ]),
  );
}

function checkNamespaces(linux: Linux, reader: ConfigReader): void {
  const types: string[] = [];
  for (const { type } of linux.namespaces) {
    const first = types.indexOf(type);
    if (first >= 0)
      reader.fail(
        `"${type}" again, after namespaces[${first}]`,
        "namespaces",
        types.length,
        "type",
      );
    types.push(type);
  }
  // Without it everything that is mounted would be mounted on the host.
  if (!types.includes("mount")) reader.fail("there is none of type mount", "namespaces");
  const user = linux.namespaces[types.indexOf("user")];
  for (const key of ["uidMappings", "gidMappings"] as const) {
    const isMapped = linux[key].length > 0;
    if (user === undefined && isMapped) reader.fail("there is no user namespace", key);
    // With a path there may be mappings too: containerd and CRI-O write those of that namespace.
    if (user !== undefined && user.path === undefined && !isMapped)
      reader.fail("missing, expected with a new user namespace", key);
  }
  if (linux.timeOffsets !== undefined) {
    const time = linux.namespaces[types.indexOf("time")];
    if (time === undefined) reader.fail("there is no time namespace", "timeOffsets");
    if (time.path !== undefined)
      reader.fail("cannot be set of a time namespace that exists", "timeOffsets");
  }
}

function checkNetDevices({ namespaces, netDevices }: Linux, reader: ConfigReader): void {
  const names = Object.keys(netDevices);
  if (names.length > 0 && !namespaces.some(({ type }) => type === "network"))
    reader.fail("there is no network namespace", "netDevices");
  const taken = new Map<string, string>();
  for (const name of names) {
    const inside = netDevices[name]?.name ?? name;
    const other = taken.get(inside);
    if (other !== undefined && !inside.endsWith("%d"))
      reader.fail(`is to be ${inside} in the container, and so is ${other}`, "netDevices", name);
    taken.set(inside, name);
  }
}

/** `linux`. */
export const LINUX: StructRule & { otherwise: object } = {
  kind: "struct",
  otherwise: {},
  fields: {
    namespaces: { kind: "list", of: NAMESPACE, otherwise: [] },
    uidMappings: { ...ID_MAPPINGS, otherwise: [] },
    gidMappings: { ...ID_MAPPINGS, otherwise: [] },
    timeOffsets: TIME_OFFSETS,
    devices: { kind: "list", of: DEVICE, otherwise: [] },
    netDevices: {
      kind: "map",
      keys: IS_INTERFACE,
      of: {
        kind: "struct",
        fields: { name: { kind: "text", check: IS_NEW_INTERFACE, emptyIsNone: true } },
      },
      otherwise: {},
    },
    cgroupsPath: {
      kind: "text",
      check: {
        ok: (path) => !path.includes("..") || !path.split("/").includes(".."),
        expected: "a path without ..",
      },
      otherwise: "",
    },
    resources: RESOURCES,
    rootfsPropagation: { kind: "word", words: ROOTFS_PROPAGATIONS, emptyIsNone: true },
    seccomp: SECCOMP,
    sysctl: { kind: "map", of: TEXT, keys: IS_SYSCTL, otherwise: {} },
    maskedPaths: { kind: "list", of: ABSOLUTE, otherwise: [] },
    readonlyPaths: { kind: "list", of: ABSOLUTE, otherwise: [] },
    mountLabel: TEXT_OR_NONE,
    intelRdt: INTEL_RDT,
    memoryPolicy: MEMORY_POLICY,
    personality: PERSONALITY,
  },
  finish(linux: Draft<Linux>, reader) {
    if (linux.timeOffsets !== undefined && Object.keys(linux.timeOffsets).length === 0)
      delete linux.timeOffsets;
    checkNamespaces(linux, reader);
    checkNetDevices(linux, reader);
    checkSysctls(linux, reader);
  },
};
