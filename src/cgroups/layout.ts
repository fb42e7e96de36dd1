/**
 * Where the kernel's cgroup hierarchies are mounted: cgroup v1 (one hierarchy per controller, or
 * several controllers mounted together), v2 (one for all), or hybrid (both). cgroups(7), proc(5).
 */
import { MydockerError } from "../errors.ts";
import { ifExists, readFile, statIfExists } from "../linux/file.ts";
import { CGROUP_SUPER_MAGIC, CGROUP2_SUPER_MAGIC, fileSystemMagic } from "../linux/mount.ts";

/** One mounted hierarchy. */
export interface Hierarchy {
  readonly version: 1 | 2;
  /** absolute, as a byte string */
  readonly mountPoint: string;
  /** The cgroup that is seen at `mountPoint`; not `/` inside a container without a cgroup namespace. */
  readonly mountRoot: string;
  /** v1: what is mounted together here. v2: empty, the file `cgroup.controllers` says it. */
  readonly controllers: readonly string[];
  /** v1: of a named hierarchy (`name=systemd`). */
  readonly name?: string;
}

/** All mounted hierarchies. */
export interface CgroupLayout {
  /** `none`: no cgroup file system is mounted. */
  readonly mode: "v1" | "hybrid" | "v2" | "none";
  readonly v1: readonly Hierarchy[];
  readonly v2?: Hierarchy;
}

/** Mount options of cgroup v1 that are no controllers (linux/cgroup-defs.h, cgroup1_show_options). */
const V1_OPTIONS = new Set([
  "rw",
  "ro",
  "none",
  "all",
  "noprefix",
  "clone_children",
  "cpuset_v2_mode",
  "xattr",
  "favordynmods",
  "nofavordynmods",
]);

/** mountinfo writes space, tab, newline, `\` and `#` as `\ooo`. */
function unescapeOctal(field: string): string {
  return field.replace(/\\([0-7]{3})/g, (_, octal: string) =>
    String.fromCharCode(Number.parseInt(octal, 8)),
  );
}

/**
 * Parses /proc/PID/cgroup: the path in each hierarchy by controller, by `name=…` for a named one, and
 * by the empty string for v2.
 */
export function ownCgroups(procCgroup: string): ReadonlyMap<string, string> {
  const paths = new Map<string, string>();
  for (const line of procCgroup.split("\n")) {
    const [, id, controllers, path] = /^(\d+):([^:]*):(.*)$/.exec(line) ?? [];
    if (id === undefined || controllers === undefined || path === undefined) continue;
    for (const controller of controllers.split(",")) paths.set(controller, path);
  }
  return paths;
}

interface Candidate extends Hierarchy {
  readonly writable: boolean;
}

function parseMount(line: string): Candidate | undefined {
  const dash = line.indexOf(" - cgroup");
  if (dash < 0) return undefined;
  const [type, , superOptions = ""] = line.slice(dash + 3).split(" ");
  const [, , , root, mountPoint, options = ""] = line.split(" ");
  if (root === undefined || mountPoint === undefined) return undefined;
  const writable = !options.split(",").includes("ro") && !superOptions.split(",").includes("ro");
  const where = { mountPoint: unescapeOctal(mountPoint), mountRoot: unescapeOctal(root), writable };
  if (type === "cgroup2") return { version: 2, ...where, controllers: [] };
  if (type !== "cgroup") return undefined;
  const words = superOptions.split(",");
  const name = words.find((word) => word.startsWith("name="))?.slice(5);
  const controllers = words.filter((word) => !V1_OPTIONS.has(word) && !word.includes("="));
  return { version: 1, ...where, controllers, ...(name === undefined ? {} : { name }) };
}

/** Which of two mounts of one hierarchy serves better: one that we live in, a writable one, the usual place. */
function score(mount: Candidate, own: ReadonlyMap<string, string>): number {
  const key = mount.version === 2 ? "" : (mount.controllers[0] ?? `name=${mount.name}`);
  const { mountRoot } = mount;
  const inside =
    mountRoot === "/" || own.get(key) === mountRoot || own.get(key)?.startsWith(`${mountRoot}/`);
  return (
    (inside === true ? 4 : 0) +
    (mount.writable ? 2 : 0) +
    (mount.mountPoint.startsWith("/sys/fs/cgroup") ? 1 : 0)
  );
}

/**
 * Finds the hierarchies in the text of /proc/self/mountinfo. When one is mounted several times, the
 * best mount is taken; `ownCgroup` (the text of /proc/self/cgroup) is asked for only then. Pure.
 */
export function detectLayout(mountinfo: string, ownCgroup: () => string = () => ""): CgroupLayout {
  const groups = new Map<string, Candidate[]>();
  for (const line of mountinfo.split("\n")) {
    const mount = parseMount(line);
    if (mount === undefined) continue;
    const key = mount.version === 2 ? "" : `${mount.controllers.join(",")}:${mount.name ?? ""}`;
    // A later mount on the same directory hides the earlier one.
    const others = (groups.get(key) ?? []).filter((other) => other.mountPoint !== mount.mountPoint);
    groups.set(key, [...others, mount]);
  }
  let own: ReadonlyMap<string, string> | undefined;
  const hierarchies = [...groups.values()].map((candidates): Hierarchy => {
    let best = candidates[0] as Candidate;
    if (candidates.length > 1) {
      own ??= ownCgroups(ownCgroup());
      for (const other of candidates) if (score(other, own) > score(best, own)) best = other;
    }
    const { writable: _, ...hierarchy } = best;
    return hierarchy;
  });
  const v1 = hierarchies.filter((hierarchy) => hierarchy.version === 1);
  const v2 = hierarchies.find((hierarchy) => hierarchy.version === 2);
  const controlled = v1.some((hierarchy) => hierarchy.controllers.length > 0);
  if (v2 === undefined) return { mode: v1.length === 0 ? "none" : "v1", v1 };
  return { mode: controlled ? "hybrid" : "v2", v1, v2 };
}

/** The layout of this machine, as this process sees it. Costs two or three system calls. */
export function readLayout(): CgroupLayout {
  return detectLayout(readFile("/proc/self/mountinfo"), () => readFile("/proc/self/cgroup"));
}

/** The v1 hierarchy of a controller. */
export function v1Hierarchy(layout: CgroupLayout, controller: string): Hierarchy | undefined {
  return layout.v1.find((hierarchy) => hierarchy.controllers.includes(controller));
}

/** Whether swap can be limited: kernels may have none, or be told not to count it (swapaccount=0). */
export function countsSwap(layout: CgroupLayout): boolean {
  const memory = v1Hierarchy(layout, "memory");
  if (memory === undefined) {
    if (layout.v2 === undefined || statIfExists("/proc/swaps") === undefined) return false;
    return swapIsCounted(readFile("/proc/cmdline"), readFile("/proc/sys/kernel/osrelease"));
  }
  return statIfExists(`${memory.mountPoint}/memory.memsw.limit_in_bytes`) !== undefined;
}

/**
 * Whether a kernel with swap counts it on cgroup v2. There the root cgroup, which has no limits, cannot
 * be asked. Linux 6.1 stopped heeding the boot parameter (b25806dcd3d5).
 */
export function swapIsCounted(commandLine: string, release: string): boolean {
  const [major = 0, minor = 0] = release.split(".").map(Number.parseFloat);
  if (major > 6 || (major === 6 && minor >= 1)) return true;
  return !/(^|\s)swapaccount=(0|n|f|of)/i.test(commandLine);
}

const verified = new WeakSet<Hierarchy>();

/**
 * The mount point, once statfs(2) has said that it is a cgroup file system of the right version: what
 * mountinfo names may be hidden under another mount, and a plain directory takes any write.
 * @throws {MydockerError} when it is something else
 */
export function cgroupRoot(hierarchy: Hierarchy): string {
  const { mountPoint, version } = hierarchy;
  if (!verified.has(hierarchy)) {
    const magic = version === 2 ? CGROUP2_SUPER_MAGIC : CGROUP_SUPER_MAGIC;
    if (ifExists(() => fileSystemMagic(mountPoint)) !== magic)
      throw new MydockerError(`${mountPoint} is not a cgroup v${version} file system`, {
        exitCode: 125,
        hint: "something else is mounted over it: see /proc/self/mountinfo",
      });
    verified.add(hierarchy);
  }
  return mountPoint;
}

/**
 * Checks a cgroup's path: absolute, of at least one name, without empty names, `.`, `..`, NUL and
 * newline (which the kernel refuses), and not a file that cgroups have. cgroup file systems hold no
 * symbolic links, so such a path cannot leave the hierarchy.
 * @throws {MydockerError}
 */
export function checkCgroupPath(path: string): string {
  const names = path.split("/").slice(1);
  const bad = names.some(
    (name) =>
      name === "" ||
      name === "." ||
      name === ".." ||
      name.length > 255 ||
      name.includes("\0") ||
      name.includes("\n") ||
      name.startsWith("cgroup.") ||
      ["tasks", "notify_on_release", "release_agent"].includes(name),
  );
  if (!path.startsWith("/") || names.length === 0 || bad)
    throw new MydockerError(`not a path for a cgroup: ${JSON.stringify(path)}`, {
      exitCode: 125,
      hint: "it starts with / and has no empty, '.' or '..' part",
    });
  return path;
}
