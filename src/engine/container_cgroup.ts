/** Where a container's cgroup is, and how the container sees it. */
import type { CgroupLayout } from "../cgroups/layout.ts";
import type { Cgroup } from "../cgroups/manager.ts";
import { isErrno } from "../ffi/call.ts";
import type { Mount } from "../runtime/spec.ts";
import { CGROUP_OPTIONS } from "./defaults.ts";

/** The path of a container's cgroup in every hierarchy. @param parent of `--cgroup-parent` */
export const containerCgroup = (id: string, parent = "/mydocker"): string =>
  `${parent === "/" ? "" : ownLevel(parent)}/${id}`;

/**
 * systemd takes the controllers that none of its own units wants away from the children of a slice
 * whenever it reads its units again, and their limits with them, but not from one that hands them
 * down itself: so there is one in between. A slice by its name alone is where systemd has it,
 * `a-b.slice` in `a.slice` (systemd.slice(5)).
 */
function ownLevel(parent: string): string {
  if (!parent.endsWith(".slice")) return parent;
  const [, name] = /^\/([^/-]+(?:-[^/-]+)*)\.slice$/.exec(parent) ?? [];
  if (name === undefined) return `${parent}/mydocker`;
  const parts = name
    .split("-")
    .map((_, index, all) => `/${all.slice(0, index + 1).join("-")}.slice`);
  return `${parts.join("")}/mydocker`;
}

/** With cgroup v1: a tmpfs with a directory for each hierarchy, which shows the container's own cgroup. */
export function cgroupMounts(layout: CgroupLayout, cgroup: Cgroup): Mount[] {
  if (layout.mode === "v2") return [];
  return [
    {
      destination: "/sys/fs/cgroup",
      type: "tmpfs",
      source: "tmpfs",
      options: [...CGROUP_OPTIONS, "mode=755"],
    },
    ...cgroup.members.map(({ hierarchy, directory }) => ({
      destination: `/sys/fs/cgroup/${hierarchy.controllers.join(",")}`,
      type: "bind",
      source: directory,
      options: ["bind", "rprivate", ...CGROUP_OPTIONS],
    })),
  ];
}

/** Lets a container go on that is paused. One that ends just then has no cgroup any more, and is fine. */
export function thawIfFrozen(cgroup: Cgroup): void {
  if (!cgroup.frozen()) return;
  try {
    cgroup.thaw();
  } catch (error) {
    if (!isErrno(error, "ENOENT", "ENODEV")) throw error;
  }
}
