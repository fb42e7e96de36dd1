/** A mount of type `cgroup` (config-linux.md, "Default Filesystems"), for cgroups of version 1 and 2. Pure. */
import { RootfsError } from "./rootfs_error.ts";

/** How the container's cgroups are to be shown. */
export interface CgroupFacts {
  readonly version: 1 | 2;
  /** whether the container has a cgroup namespace of its own, in which its cgroup is the root */
  readonly namespace: boolean;
  /** version 2: the one there is */
  readonly hierarchies: readonly CgroupHierarchy[];
}

/** One hierarchy. */
export interface CgroupHierarchy {
  /** the directory's name below the mount: `cpu,cpuacct`, `systemd` */
  readonly name: string;
  /** version 1: options by which a mount gets this hierarchy, `cpu,cpuacct` or `none,name=systemd` */
  readonly data: string;
  /** the container's own cgroup on the host */
  readonly directory: string;
}

interface Entry {
  readonly destination: string;
  readonly type: string;
  readonly source: string;
  readonly options: readonly string[];
}

/** What comes in the place of one entry. */
export interface CgroupMounts {
  readonly entries: readonly Entry[];
  readonly links: readonly { readonly path: string; readonly to: string }[];
  /** what is bound if the kernel refuses: in a user namespace it may (cgroups(7)) */
  readonly otherwise?: string;
}

/** @throws {RootfsError} when nothing is known of the container's cgroups */
export function planCgroupMount(
  entry: { readonly destination: string; readonly options?: readonly string[] },
  facts: CgroupFacts | undefined,
): CgroupMounts {
  const { destination, options = [] } = entry;
  const [first] = facts?.hierarchies ?? [];
  if (facts === undefined || first === undefined)
    throw new RootfsError(`mount on ${destination}: this container has no cgroup to show`);
  if (facts.version === 2) {
    const unified = { destination, type: "cgroup2", source: "cgroup", options };
    return { entries: [unified], links: [], otherwise: first.directory };
  }
  const hierarchies = facts.hierarchies.map(({ name, data, directory }): Entry => {
    const at = `${destination}/${name}`;
    return facts.namespace
      ? { destination: at, type: "cgroup", source: "cgroup", options: [...options, data] }
      : { destination: at, type: "bind", source: directory, options: ["bind", ...options] };
  });
  // Programs look for a controller by its name alone, wherever it is mounted together with others.
  const links: { path: string; to: string }[] = [];
  for (const { name } of facts.hierarchies) {
    if (!name.includes(",")) continue;
    for (const to of name.split(",")) links.push({ path: `${destination}/${to}`, to: name });
  }
  const top = {
    destination,
    type: "tmpfs",
    source: "tmpfs",
    options: [...options, "mode=755"],
  };
  return { entries: [top, ...hierarchies], links };
}
