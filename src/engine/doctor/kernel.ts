/** The kernel: its version, and what it was built with. */
import { ifExists, readFile, readFileBytes } from "../../linux/file.ts";
import { defineCheck, type Finding, failure, ok, warning } from "./check.ts";

/** The first with mount_setattr(2), which every container's mounts are made by. */
const LEAST = [5, 12] as const;
/** The first with cgroup.kill, and what else makes things sure that are otherwise chased. */
const BETTER = [5, 14] as const;

const WHY_VERSION = "containers are made with system calls that older kernels do not have";

/** The version of the running kernel. */
export const kernelVersion = defineCheck({
  name: "kernel version",
  why: WHY_VERSION,
  read: () => readFile("/proc/sys/kernel/osrelease").trim(),
  judge(release) {
    const [major = 0, minor = 0] = release.split(".").map((part) => Number.parseInt(part, 10));
    const isBefore = ([first, second]: readonly [number, number]) =>
      major < first || (major === first && minor < second);
    const fix = "boot a newer kernel: `apt install linux-image-amd64`, or that of the backports";
    if (isBefore(LEAST))
      return [
        failure("kernel version", `${release}, older than ${LEAST.join(".")}`, WHY_VERSION, fix),
      ];
    if (isBefore(BETTER))
      return [
        warning(
          "kernel version",
          `${release}, older than ${BETTER.join(".")}`,
          "without cgroup.kill a container that forks without end is killed process by process",
          fix,
        ),
      ];
    return [ok("kernel version", release, WHY_VERSION)];
  },
});

/** An option of the kernel's, and what there is not without it. */
interface Option {
  readonly name: string;
  readonly why: string;
  /** `run` does not work without it. */
  readonly needed?: boolean;
}

const NEEDED: readonly Option[] = [
  { name: "NAMESPACES", why: "containers are made of namespaces" },
  { name: "UTS_NS", why: "a container has a host name of its own" },
  { name: "IPC_NS", why: "a container has System V and POSIX IPC of its own" },
  { name: "PID_NS", why: "a container sees its own processes only" },
  { name: "NET_NS", why: "a container has a network of its own" },
  { name: "CGROUPS", why: "a container's processes are found and limited by its cgroup" },
  { name: "OVERLAY_FS", why: "a container's layer is stacked on its image's" },
  { name: "TMPFS", why: "/dev and /dev/shm of a container are tmpfs" },
  { name: "UNIX98_PTYS", why: "every container has a devpts" },
  { name: "POSIX_MQUEUE", why: "every container has /dev/mqueue" },
  { name: "SECCOMP_FILTER", why: "containers are run with Docker's filter of system calls" },
].map((option) => ({ ...option, needed: true }));

const WANTED: readonly Option[] = [
  { name: "USER_NS", why: "`--userns`, and user namespaces of config.json" },
  { name: "MEMCG", why: "`--memory` and everything that goes with it" },
  { name: "CFS_BANDWIDTH", why: "`--cpus` and `--cpu-quota`" },
  { name: "FAIR_GROUP_SCHED", why: "`--cpu-shares`" },
  { name: "CPUSETS", why: "`--cpuset-cpus` and `--cpuset-mems`" },
  { name: "CGROUP_PIDS", why: "`--pids-limit`" },
  { name: "BLK_CGROUP", why: "limits of I/O in config.json" },
  { name: "CGROUP_BPF", why: "rules for devices on cgroup v2" },
  { name: "CGROUP_DEVICE", why: "rules for devices on cgroup v1" },
  { name: "CGROUP_FREEZER", why: "pausing on cgroup v1" },
  { name: "CGROUP_HUGETLB", why: "limits of huge pages" },
  { name: "KEYS", why: "a container's own session keyring" },
  { name: "BRIDGE", why: "bridge networks" },
  { name: "VETH", why: "a container's end of a bridge network" },
  { name: "NF_TABLES", why: "published ports and the way out of bridge networks" },
  { name: "NF_NAT", why: "published ports and the way out of bridge networks" },
  { name: "BRIDGE_NETFILTER", why: "rules between the containers of one bridge network" },
];

/** Options as a kernel's config file has them: `y`, `m`, or a value; absent: not set. */
export type KernelConfig = ReadonlyMap<string, string>;

/** Parses CONFIG_NAME=value. Pure. */
export function parseKernelConfig(text: string): KernelConfig {
  return new Map(
    [...text.matchAll(/^CONFIG_(\w+)=(.*)$/gm)].map(([, name = "", value = ""]) => [name, value]),
  );
}

/** What the running kernel was built with, and the file that says so. */
export interface KernelConfigFacts {
  readonly from: string;
  readonly config: KernelConfig;
}

/** Where distributions keep it. */
function readKernelConfig(): KernelConfigFacts | undefined {
  const compressed = ifExists(() => readFileBytes("/proc/config.gz"));
  if (compressed !== undefined) {
    const text = new TextDecoder().decode(Bun.gunzipSync(compressed.slice()));
    return { from: "/proc/config.gz", config: parseKernelConfig(text) };
  }
  const release = readFile("/proc/sys/kernel/osrelease").trim();
  for (const from of [`/boot/config-${release}`, `/lib/modules/${release}/config`]) {
    const text = ifExists(() => readFile(from));
    if (text !== undefined) return { from, config: parseKernelConfig(text) };
  }
  return undefined;
}

const WHY_CONFIG = "what a kernel was built without, nothing brings back";

/** The options of the kernel. */
export const kernelConfig = defineCheck({
  name: "kernel options",
  why: WHY_CONFIG,
  read: readKernelConfig,
  judge(facts): Finding[] {
    if (facts === undefined)
      return [
        ok(
          "kernel options",
          "unknown: neither /proc/config.gz nor a file in /boot has them; the other checks try what they can",
          WHY_CONFIG,
        ),
      ];
    const { from, config } = facts;
    const missing = [...NEEDED, ...WANTED].filter(({ name }) => !config.has(name));
    if (missing.length === 0) return [ok("kernel options", `all there (${from})`, WHY_CONFIG)];
    return missing.map(({ name, why, needed }) =>
      (needed === true ? failure : warning)(
        `CONFIG_${name}`,
        `not set in ${from}`,
        why,
        `boot a distribution's kernel, or one that is built with CONFIG_${name}`,
      ),
    );
  },
});
