/** The directories that make up one cgroup: which there can be, and how one is made. */
import type { Controller } from "./controller.ts";
import { V1_CONTROLLERS, V2_CONTROLLERS } from "./controllers.ts";
import { makeCgroupDirectory, reader, tryMakeCgroupDirectory, writeLimit } from "./directory.ts";
import { CgroupError } from "./error.ts";
import { type CgroupLayout, checkCgroupPath, type Hierarchy } from "./layout.ts";
import type { CgroupLocation } from "./location.ts";
import { enableControllers } from "./v2/delegation.ts";

/** A cgroup's directory in one hierarchy, with the controllers that it serves. */
export interface Member {
  readonly hierarchy: Hierarchy;
  readonly directory: string;
  readonly controllers: readonly Controller[];
}

/**
 * The directories that a cgroup has, or could have. v2 counts where it has the controllers.
 * @throws {CgroupError} for a path that is none, and when no cgroup file system is mounted
 */
export function candidates(layout: CgroupLayout, location: CgroupLocation): Member[] {
  const directoryIn = (hierarchy: Hierarchy): string => {
    const path = typeof location === "string" ? location : location(hierarchy);
    return hierarchy.mountPoint + checkCgroupPath(path);
  };
  if (layout.mode === "none") {
    throw new CgroupError("no cgroup file system is mounted", {
      controller: "cgroup",
      hint: "mount -t cgroup2 cgroup2 /sys/fs/cgroup",
    });
  }
  if (layout.mode === "v2" && layout.v2 !== undefined) {
    const directory = directoryIn(layout.v2);
    return [{ hierarchy: layout.v2, directory, controllers: V2_CONTROLLERS }];
  }
  const members: Member[] = [];
  for (const hierarchy of layout.v1) {
    const controllers = V1_CONTROLLERS.filter(({ name }) => hierarchy.controllers.includes(name));
    if (controllers.length > 0)
      members.push({ hierarchy, directory: directoryIn(hierarchy), controllers });
  }
  return members;
}

/**
 * Makes a directory where there is none, its parents before it, each fit to have children.
 * @param onMade told of the directory itself, before anything is written in it
 * @throws {CgroupError}
 */
export function makeWithParents(
  member: Member,
  directory: string,
  onMade: (directory: string) => void,
): void {
  const { hierarchy, controllers } = member;
  const parent = parentOf(directory);
  const ready = hierarchy.version === 1 && parent !== hierarchy.mountPoint;
  const name = controllers[0]?.name ?? "cgroup";
  // On v1 a parent that is there is ready; on v2 somebody may have taken its controllers away.
  const made = ready ? tryMakeCgroupDirectory(name, directory) : undefined;
  if (made === undefined) {
    if (parent !== hierarchy.mountPoint) makeWithParents(member, parent, () => undefined);
    if (hierarchy.version === 2) enableControllers(parent, controllers);
  }
  const isNew = made ?? makeCgroupDirectory(name, directory);
  if (!isNew) return;
  onMade(directory);
  for (const controller of controllers) inherit(controller, directory);
}

function inherit(controller: Controller, directory: string): void {
  if (controller.inherit === undefined) return;
  for (const write of controller.inherit(reader(directory))) writeLimit(directory, write);
}

const parentOf = (path: string): string => path.slice(0, path.lastIndexOf("/"));
