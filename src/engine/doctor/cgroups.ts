/** Control groups: where they are mounted, and which controllers there are. */
import { type CgroupLayout, cgroupRoot, type Hierarchy, readLayout } from "../../cgroups/layout.ts";
import { ifExists, readFile, statIfExists } from "../../linux/file.ts";
import { fileSystemUsage } from "../../linux/mount.ts";
import { defineCheck, type Finding, failure, ok, warning } from "./check.ts";

/** What the judgements are over. */
export interface CgroupFacts {
  readonly mode: CgroupLayout["mode"];
  /** mount points of the hierarchies that count for containers */
  readonly mountPoints: readonly string[];
  /** why one of these is none, or cannot be written to */
  readonly unusable?: string;
  /** with v1 those that are mounted, with v2 those of what is mounted */
  readonly controllers: readonly string[];
  /** v2: what is mounted is the cgroup of another container or unit, with this many processes in itself */
  readonly innerProcesses: number;
}

function readFacts(): CgroupFacts {
  const { mode, v1, v2 } = readLayout();
  const counting =
    v2 !== undefined && mode === "v2"
      ? [v2]
      : v1.filter(({ controllers }) => controllers.length > 0);
  const unusable = counting.flatMap((hierarchy) => whyUnusable(hierarchy) ?? [])[0];
  const root = mode === "v2" ? v2?.mountPoint : undefined;
  const words = (file: string) =>
    (ifExists(() => readFile(`${root}/${file}`)) ?? "").split(/\s+/).filter(Boolean);
  // Only the root of all has no type, and may hold processes beside cgroups.
  const isInner = root !== undefined && statIfExists(`${root}/cgroup.type`) !== undefined;
  return {
    mode,
    mountPoints: counting.map(({ mountPoint }) => mountPoint),
    ...(unusable === undefined ? {} : { unusable }),
    controllers:
      root === undefined
        ? v1.flatMap(({ controllers }) => controllers)
        : words("cgroup.controllers"),
    innerProcesses: isInner ? words("cgroup.procs").length : 0,
  };
}

function whyUnusable(hierarchy: Hierarchy): string | undefined {
  try {
    const mountPoint = cgroupRoot(hierarchy);
    return fileSystemUsage(mountPoint).readOnly ? `${mountPoint} is mounted read-only` : undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

const WHY_LAYOUT =
  "each container has a cgroup: by it its processes are limited, counted and killed";
const MOUNT = "mount it: `mount -t cgroup2 cgroup2 /sys/fs/cgroup`";

/** How cgroups are mounted. */
export const cgroupLayout = defineCheck({
  name: "cgroup layout",
  why: WHY_LAYOUT,
  read: readFacts,
  judge: judgeLayout,
});

function judgeLayout({ mode, mountPoints, unusable }: CgroupFacts): Finding[] {
  const name = "cgroup layout";
  if (mode === "none" || mountPoints.length === 0)
    return [failure(name, "no cgroup file system is mounted", WHY_LAYOUT, MOUNT)];
  if (unusable !== undefined) {
    const fix = unusable.endsWith("read-only")
      ? `make it writable: \`mount -o remount,rw ${unusable.split(" ")[0]}\``
      : "unmount what hides it: `umount` the path above, see /proc/self/mountinfo";
    return [failure(name, unusable, WHY_LAYOUT, fix)];
  }
  const where =
    mountPoints.length === 1 ? `at ${mountPoints[0]}` : `${mountPoints.length} hierarchies`;
  return [ok(name, `${mode}, ${where}`, WHY_LAYOUT)];
}

interface ControllerUse {
  readonly why: string;
  /** how kernels are told to have it */
  readonly v1: string | undefined;
  readonly v2: string | undefined;
}

/** What each controller is for; undefined: this version has none of the name. */
const CONTROLLERS: Readonly<Record<string, ControllerUse>> = {
  memory: { why: "`--memory`, and what `stats` shows of memory", v1: "memory", v2: "memory" },
  cpu: { why: "`--cpus`, `--cpu-shares`", v1: "cpu", v2: "cpu" },
  cpuacct: { why: "what `stats` shows of the processor", v1: "cpuacct", v2: undefined },
  cpuset: { why: "`--cpuset-cpus`, `--cpuset-mems`", v1: "cpuset", v2: "cpuset" },
  pids: { why: "`--pids-limit`, which ends fork bombs", v1: "pids", v2: "pids" },
  io: { why: "limits of I/O in config.json, and what is counted of it", v1: "blkio", v2: "io" },
  freezer: { why: "pausing a container, and killing one at once", v1: "freezer", v2: undefined },
  devices: {
    why: "a container may use the devices that it was given, and no others",
    v1: "devices",
    v2: undefined,
  },
  hugetlb: { why: "limits of huge pages", v1: "hugetlb", v2: "hugetlb" },
};

/** Without these `run` refuses to start a container: it would be less closed than it promises. */
const NEEDED = new Set(["devices"]);

/** The controllers. */
export const cgroupControllers = defineCheck({
  name: "cgroup controllers",
  why: WHY_LAYOUT,
  read: readFacts,
  judge: judgeControllers,
});

function judgeControllers({ mode, controllers, innerProcesses }: CgroupFacts): Finding[] {
  if (mode === "none") return [];
  return [...judgeInnerProcesses(innerProcesses), ...judgeEach(mode, controllers)];
}

/** "No Internal Process Constraint" of Documentation/admin-guide/cgroup-v2.rst. */
function judgeInnerProcesses(count: number): Finding[] {
  if (count === 0) return [];
  return [
    warning(
      "cgroup delegation",
      `${count} processes are in the cgroup itself that is mounted`,
      "a cgroup with processes of its own hands no controllers down: limits are refused",
      "move them into a cgroup inside: `mkdir /sys/fs/cgroup/init && for p in $(cat /sys/fs/cgroup/cgroup.procs); do echo $p > /sys/fs/cgroup/init/cgroup.procs; done`",
    ),
  ];
}

function judgeEach(mode: CgroupFacts["mode"], controllers: readonly string[]): Finding[] {
  const version = mode === "v2" ? "v2" : "v1";
  return Object.values(CONTROLLERS).flatMap((use): Finding[] => {
    const called = use[version];
    if (called === undefined) return [];
    const name = `cgroup controller ${called}`;
    if (controllers.includes(called)) return [ok(name, "there", use.why)];
    const fix =
      version === "v2"
        ? `boot with \`cgroup_enable=${called}\` or without \`cgroup_disable=${called}\`; in a container: have it delegated`
        : `mount it: \`mkdir -p /sys/fs/cgroup/${called} && mount -t cgroup -o ${called} cgroup /sys/fs/cgroup/${called}\``;
    return [(NEEDED.has(called) ? failure : warning)(name, "not there", use.why, fix)];
  });
}
