/** What is written down of a cgroup, so that another process finds it again. */
import { V1_CONTROLLERS, V2_CONTROLLERS } from "./controllers.ts";
import { type CgroupLayout, checkCgroupPath } from "./layout.ts";
import { Cgroup, existing } from "./manager.ts";
import type { Member } from "./members.ts";

/** A cgroup as plain data: where it is, or would be, in each hierarchy that can have it. */
export interface CgroupRecord {
  readonly mode: CgroupLayout["mode"];
  readonly hierarchies: readonly {
    readonly version: 1 | 2;
    /** v1: what is mounted together there; v2: empty */
    readonly controllers: readonly string[];
    readonly mountPoint: string;
    /** below the mount point, starting with `/`; hierarchies may differ in it */
    readonly path: string;
  }[];
}

/** What {@link openRecord} takes. */
export function cgroupRecord({ layout, candidates }: Cgroup): CgroupRecord {
  return {
    mode: layout.mode,
    hierarchies: candidates.map(({ hierarchy, directory }) => ({
      version: hierarchy.version,
      controllers: hierarchy.controllers,
      mountPoint: hierarchy.mountPoint,
      path: directory.slice(hierarchy.mountPoint.length),
    })),
  };
}

/**
 * The cgroup of a record, as far as it still exists; mountinfo is not read.
 * @throws {MydockerError} for a path that is none
 */
export function openRecord({ mode, hierarchies }: CgroupRecord): Cgroup {
  const members = hierarchies.map(({ version, controllers, mountPoint, path }): Member => {
    const all = version === 2 ? V2_CONTROLLERS : V1_CONTROLLERS;
    return {
      hierarchy: { version, mountPoint, mountRoot: "/", controllers },
      directory: mountPoint + checkCgroupPath(path),
      controllers: version === 2 ? all : all.filter(({ name }) => controllers.includes(name)),
    };
  });
  const mounted = members.map(({ hierarchy }) => hierarchy);
  const v2 = mounted.find(({ version }) => version === 2);
  const layout: CgroupLayout = {
    mode,
    v1: mounted.filter(({ version }) => version === 1),
    ...(v2 === undefined ? {} : { v2 }),
  };
  return new Cgroup(layout, hierarchies[0]?.path ?? "/", members, existing(members));
}
