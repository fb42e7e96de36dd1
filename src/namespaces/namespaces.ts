/** Namespaces (namespaces(7)): the names of the OCI specification and the kernel's flags. */
import { CLONE } from "../linux/process.ts";

/** The types, as the OCI specification calls them. */
export type NamespaceType =
  | "pid"
  | "network"
  | "mount"
  | "ipc"
  | "uts"
  | "user"
  | "cgroup"
  | "time";

/** The kernel's flag of each type. */
export const FLAGS: Readonly<Record<NamespaceType, number>> = {
  pid: CLONE.CLONE_NEWPID,
  network: CLONE.CLONE_NEWNET,
  mount: CLONE.CLONE_NEWNS,
  ipc: CLONE.CLONE_NEWIPC,
  uts: CLONE.CLONE_NEWUTS,
  user: CLONE.CLONE_NEWUSER,
  cgroup: CLONE.CLONE_NEWCGROUP,
  time: CLONE.CLONE_NEWTIME,
};

/** An entry of config.json's `linux.namespaces`; with a path the namespace exists. */
export interface NamespaceEntry {
  readonly type: NamespaceType;
  readonly path?: string;
}

/** True when the list asks for a new namespace of this type. */
export function isNew(namespaces: readonly NamespaceEntry[], type: NamespaceType): boolean {
  return namespaces.some((entry) => entry.type === type && entry.path === undefined);
}

/**
 * The CLONE_NEW* flags for clone(2). Without the cgroup namespace: its root is the cgroup that the
 * process is in when it is made, so it is unshared after the cgroup has been joined
 * (cgroup_namespaces(7)).
 */
export function cloneFlags(namespaces: readonly NamespaceEntry[]): number {
  let flags = 0;
  for (const { type, path } of namespaces) {
    if (path === undefined && type !== "cgroup" && type !== "time") flags |= FLAGS[type];
  }
  return flags;
}
