/** Where a container's cgroup is, and how the container sees it. */
import type { CgroupLayout } from "../cgroups/layout.ts";
import type { Cgroup } from "../cgroups/manager.ts";
import type { Mount } from "../runtime/spec.ts";
import { CGROUP_OPTIONS } from "./defaults.ts";

/** The path of a container's cgroup in every hierarchy. @param parent of `--cgroup-parent` */
export const containerCgroup = (id: string, parent = "/mydocker"): string =>
  `${parent === "/" ? "" : parent}/${id}`;

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
