/**
 * Where a container's cgroup is: what `linux.cgroupsPath` of the OCI runtime specification means
 * (config-linux.md, "Cgroups Path"), as runc reads it. Pure.
 */
import { MydockerError } from "../errors.ts";
import { type CgroupLayout, type Hierarchy, ownCgroups } from "./layout.ts";

/** The cgroup's path below a mount point: the same in every hierarchy, or one for each. */
export type CgroupLocation = string | ((hierarchy: Hierarchy) => string);

/** What decides where a container's cgroup is. */
export interface LocationRequest {
  /** `linux.cgroupsPath`; empty: not given */
  readonly cgroupsPath: string;
  readonly id: string;
  /** It is `slice:prefix:name`, for systemd; `--systemd-cgroup`. */
  readonly systemd: boolean;
  readonly layout: CgroupLayout;
  /** the text of /proc/self/cgroup */
  readonly ownCgroup: () => string;
}

/**
 * Absolute paths start at the mount point. Relative ones, and the id where no path is given, start at
 * the cgroup of the runtime itself, on v2 beside it: there its own processes would keep controllers
 * from being handed down. `..` leads nowhere beyond that.
 * @throws {MydockerError} when it is no path for systemd
 */
export function locateCgroup(request: LocationRequest): CgroupLocation {
  const { cgroupsPath, id, systemd, layout } = request;
  if (systemd) return systemdPath(systemdUnit(cgroupsPath, id));
  const path = cleaned(cgroupsPath === "" ? id : cgroupsPath);
  if (cgroupsPath.startsWith("/")) return path;
  const own = ownCgroups(request.ownCgroup());
  return (hierarchy) => {
    const inside = ownPath(hierarchy, own);
    return `${layout.mode === "v2" ? parentOf(inside) : inside}${path}`;
  };
}

/** The cgroup of the caller below the mount point; empty for the root, and when it is not to be seen there. */
function ownPath(hierarchy: Hierarchy, own: ReadonlyMap<string, string>): string {
  const { version, controllers, name, mountRoot } = hierarchy;
  const path = own.get(version === 2 ? "" : (controllers[0] ?? `name=${name}`)) ?? "/";
  const root = mountRoot === "/" ? "" : mountRoot;
  // With a cgroup namespace a cgroup outside of it is called /../…
  const isSeen = path.startsWith(`${root}/`) && !path.split("/").includes("..");
  return isSeen && path !== "/" ? path.slice(root.length) : "";
}

const parentOf = (path: string): string => path.slice(0, Math.max(0, path.lastIndexOf("/")));

/** Absolute, without empty, `.` and `..` parts: what leads out of the root leads to the root. */
function cleaned(path: string): string {
  const parts: string[] = [];
  for (const part of path.split("/")) {
    if (part === "..") parts.pop();
    else if (part !== "" && part !== ".") parts.push(part);
  }
  return `/${parts.join("/")}`;
}

/** The slice of what names none: systemd.special(7). */
const DEFAULT_SLICE = "system.slice";

/** A unit of systemd's, and the slice that it is in. */
export interface SystemdUnit {
  readonly name: string;
  readonly slice: string;
}

/**
 * What `slice:prefix:name` stands for: the scope `prefix-name.scope`, or the slice `name` itself, in a slice.
 * @param text empty: a scope of the container's id in the usual slice
 * @throws {MydockerError} when it is something else
 */
export function systemdUnit(text: string, id: string): SystemdUnit {
  const parts = (text === "" ? `:mydocker:${id}` : text).split(":");
  const [slice = "", prefix = "", name = ""] = parts;
  if (parts.length !== 3 || name === "")
    throw pathError(text, "it has the form slice:prefix:name for systemd");
  if (`${prefix}${name}`.includes("/")) throw pathError(text, "a unit's name has no /");
  return {
    name: name.endsWith(".slice") ? name : `${prefix}-${name}.scope`,
    slice: slice === "" ? DEFAULT_SLICE : slice,
  };
}

/** The path that systemd gives a unit. We make it where no systemd is. */
export function systemdPath({ name, slice }: SystemdUnit): string {
  return `${slicePath(slice)}/${name}`;
}

/** `a-b.slice` is in `a.slice`, and `-.slice` is the root: systemd.slice(5). */
function slicePath(slice: string): string {
  if (slice === "-.slice") return "";
  const parts = slice.replace(/\.slice$/, "").split("-");
  if (!slice.endsWith(".slice") || slice.includes("/") || parts.includes(""))
    throw pathError(slice, "it is no systemd slice, such as a.slice or a-b.slice in it");
  return parts.map((_, index) => `/${parts.slice(0, index + 1).join("-")}.slice`).join("");
}

function pathError(text: string, hint: string): MydockerError {
  return new MydockerError(`linux.cgroupsPath: not a cgroup: ${JSON.stringify(text)}`, {
    exitCode: 125,
    hint,
  });
}
