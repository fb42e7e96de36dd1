/** The config.json that `spec` writes: runc's (libcontainer/specconv/example.go), with our name in it. */
import { statIfExists } from "../linux/file.ts";

/** The version of the specification that is implemented, and the first whose configurations are taken. */
export const OCI_VERSION = { min: "1.0.0", max: "1.3.0" } as const;

/** What the template depends on; what is left out is found out. */
export interface TemplateOptions {
  /** For a user who is not root: a user namespace with him in it, and nothing that takes a root. */
  readonly rootless: boolean;
  readonly uid?: number;
  readonly gid?: number;
  /** only version 2 of cgroups is there */
  readonly unifiedCgroups?: boolean;
}

interface TemplateMount {
  readonly destination: string;
  readonly type: string;
  readonly source: string;
  readonly options?: readonly string[];
}

const CAPABILITIES = ["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"];

const MOUNTS: readonly TemplateMount[] = [
  { destination: "/proc", type: "proc", source: "proc" },
  {
    destination: "/dev",
    type: "tmpfs",
    source: "tmpfs",
    options: ["nosuid", "strictatime", "mode=755", "size=65536k"],
  },
  {
    destination: "/dev/pts",
    type: "devpts",
    source: "devpts",
    options: ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"],
  },
  {
    destination: "/dev/shm",
    type: "tmpfs",
    source: "shm",
    options: ["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"],
  },
  {
    destination: "/dev/mqueue",
    type: "mqueue",
    source: "mqueue",
    options: ["nosuid", "noexec", "nodev"],
  },
  {
    destination: "/sys",
    type: "sysfs",
    source: "sysfs",
    options: ["nosuid", "noexec", "nodev", "ro"],
  },
  {
    destination: "/sys/fs/cgroup",
    type: "cgroup",
    source: "cgroup",
    options: ["nosuid", "noexec", "nodev", "relatime", "ro"],
  },
];

/** The kernel lets a user namespace mount no new sysfs without a network namespace of its own. */
const HOST_SYS: TemplateMount = {
  destination: "/sys",
  type: "none",
  source: "/sys",
  options: ["rbind", "nosuid", "noexec", "nodev", "ro"],
};

function rootlessMount(mount: TemplateMount): TemplateMount {
  if (mount.destination === "/sys") return HOST_SYS;
  if (mount.options === undefined) return mount;
  // Ids that his namespace has not: there is only one in it.
  return { ...mount, options: mount.options.filter((option) => !/^[ug]id=/.test(option)) };
}

/** What config.json says of Linux. */
function linuxPart(options: TemplateOptions) {
  const { rootless } = options;
  const unified =
    options.unifiedCgroups ?? statIfExists("/sys/fs/cgroup/cgroup.controllers") !== undefined;
  const types = [
    "pid",
    ...(rootless ? [] : ["network"]),
    "ipc",
    "uts",
    "mount",
    ...(unified ? ["cgroup"] : []),
    ...(rootless ? ["user"] : []),
  ];
  const only = (hostID: number) => [{ containerID: 0, hostID, size: 1 }];
  return {
    ...(rootless
      ? {
          uidMappings: only(options.uid ?? process.geteuid?.() ?? 0),
          gidMappings: only(options.gid ?? process.getegid?.() ?? 0),
        }
      : { resources: { devices: [{ allow: false, access: "rwm" }] } }),
    namespaces: types.map((type) => ({ type })),
    maskedPaths: [
      "/proc/acpi",
      "/proc/asound",
      "/proc/kcore",
      "/proc/keys",
      "/proc/latency_stats",
      "/proc/timer_list",
      "/proc/timer_stats",
      "/proc/sched_debug",
      "/sys/firmware",
      "/proc/scsi",
    ],
    readonlyPaths: ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"],
  };
}

/** A configuration to start from, to be written as JSON; fields are in runc's order. */
export function ociSpec(options: TemplateOptions): object {
  return {
    ociVersion: OCI_VERSION.max,
    process: {
      terminal: true,
      user: { uid: 0, gid: 0 },
      args: ["sh"],
      env: ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM=xterm"],
      cwd: "/",
      capabilities: {
        bounding: CAPABILITIES,
        effective: CAPABILITIES,
        permitted: CAPABILITIES,
      },
      rlimits: [{ type: "RLIMIT_NOFILE", hard: 1024, soft: 1024 }],
      noNewPrivileges: true,
    },
    root: { path: "rootfs", readonly: true },
    hostname: "mydocker",
    mounts: options.rootless ? MOUNTS.map(rootlessMount) : MOUNTS,
    linux: linuxPart(options),
  };
}
