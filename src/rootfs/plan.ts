/**
 * What is to be mounted where, computed before anything is touched: a list of operations that
 * `apply.ts` replays in the container's mount namespace. Pure, so it is tested without root.
 */
import { S_IFBLK, S_IFCHR, S_IFIFO } from "../linux/file.ts";
import { MOUNT_ATTR, type MountChange, MS } from "../linux/mount.ts";
import { type CgroupFacts, planCgroupMount } from "./cgroup_mounts.ts";
import { parseOptions, treeChanges } from "./options.ts";
import { RootfsError } from "./rootfs_error.ts";

/** One operation on the container's root file system. `target` is a path inside the container. */
export type MountOp =
  | FreshOp
  | BindOp
  | DeviceOp
  | { readonly op: "symlink"; readonly path: string; readonly to: string }
  /** Changes what is mounted at the target already. */
  | { readonly op: "change"; readonly target: string; readonly changes: readonly MountChange[] }
  /** Makes the file system that was mounted at the target read-only, now that all is in it. */
  | { readonly op: "seal"; readonly target: string }
  /** Hides a file behind /dev/null, or a directory behind an empty tmpfs. Missing is fine. */
  | { readonly op: "mask"; readonly target: string }
  /** Binds a tree read-only onto itself. Missing is fine. */
  | { readonly op: "readonly"; readonly target: string };

/** A file system of its own. */
export interface FreshOp {
  readonly op: "mount";
  readonly type: string;
  readonly source: string;
  readonly target: string;
  /** MS_* bits */
  readonly flags: number;
  readonly data: string;
  /** calls of mount_setattr(2) behind it, for what mount(2) cannot say */
  readonly changes?: readonly MountChange[];
  /** a `seal` follows */
  readonly sealed?: boolean;
  /** the operations that follow put something right into it */
  readonly holds?: boolean;
  /** what lay at the target is copied into it */
  readonly copyUp?: boolean;
  /** a directory of the host that is bound when the kernel does not let us mount this one */
  readonly otherwise?: string;
}

/** A tree of the host that shows in the container. */
export interface BindOp {
  readonly op: "bind";
  /** path on the host */
  readonly source: string;
  /** what of the source is bound: others write there, so whatever links are on the way, it does not lead out */
  readonly below?: { readonly path: string; readonly called: string };
  readonly target: string;
  readonly recursive: boolean;
  /** calls of mount_setattr(2) on the copied tree, in order */
  readonly changes: readonly MountChange[];
  readonly idmap?: IdMap;
  /** The source is made while init is at work. */
  readonly isMade?: boolean;
  /** the descriptor of its copy, if that exists already */
  readonly tree?: number;
}

/** A device or FIFO. */
export interface DeviceOp {
  readonly op: "device";
  readonly path: string;
  /** type and permissions, as in stat(2) */
  readonly mode: number;
  readonly major: number;
  readonly minor: number;
  readonly uid: number;
  readonly gid: number;
}

/** A range of `uidMappings` or `gidMappings`. */
export interface IdMapping {
  readonly containerID: number;
  readonly hostID: number;
  readonly size: number;
}

/** What a mount shows as whose (mount_setattr(2), "ID-mapped mounts"). */
export interface IdMap {
  readonly uid: readonly IdMapping[];
  readonly gid: readonly IdMapping[];
  /** of all mounts below, too */
  readonly recursive: boolean;
}

/** An entry of config.json's `mounts`. */
export interface MountEntry {
  readonly destination: string;
  readonly type?: string;
  readonly source?: string;
  readonly options?: readonly string[];
  readonly uidMappings?: readonly IdMapping[];
  readonly gidMappings?: readonly IdMapping[];
}

/** An entry of config.json's `linux.devices`. */
export interface DeviceEntry {
  readonly path: string;
  /** `u` is the same as `c` */
  readonly type: "c" | "b" | "u" | "p";
  readonly major?: number;
  readonly minor?: number;
  readonly fileMode?: number;
  readonly uid?: number;
  readonly gid?: number;
}

/** The parts of config.json that this layer reads. */
export interface RootfsSpec {
  readonly mounts?: readonly MountEntry[];
  readonly linux?: {
    readonly devices?: readonly DeviceEntry[];
    readonly maskedPaths?: readonly string[];
    readonly readonlyPaths?: readonly string[];
    readonly mountLabel?: string;
    readonly uidMappings?: readonly IdMapping[];
    readonly gidMappings?: readonly IdMapping[];
  };
}

/** What of the machine and the container a plan depends on; what is absent is not there. */
export interface RootfsFacts {
  /** the directory that a bind's relative source starts from */
  readonly bundle?: string;
  /** for mounts of type `cgroup` */
  readonly cgroup?: CgroupFacts;
  readonly selinux?: boolean;
}

/** The operation for one entry of config.json's `mounts`. @throws {RootfsError} for what cannot be had together */
export function planMount(
  mount: MountEntry,
  facts: RootfsFacts = {},
  linux: RootfsSpec["linux"] = {},
): MountOp {
  const options = parseOptions(mount.options ?? []);
  const { flags } = options;
  const { destination, type = "" } = mount;
  const target = destination.startsWith("/") ? destination : `/${destination}`;
  const isBind = (flags & MS.MS_BIND) !== 0 || type === "bind";
  const recursive = (flags & MS.MS_REC) !== 0;
  const isRemount = (flags & MS.MS_REMOUNT) !== 0;
  // As mount(8) has it: options alone are for what is mounted there already.
  const isChange = (type === "" || type === "none") && !isBind && options.propagation.length > 0;
  if ((isBind && isRemount) || isChange)
    return { op: "change", target, changes: treeChanges(options, recursive || !isBind, false) };
  if (isBind) {
    const source = absoluteSource(mount, facts.bundle);
    const idmap = idMapOf(mount, options.idmap, linux);
    return {
      op: "bind",
      source,
      target,
      recursive,
      changes: treeChanges(options, recursive),
      ...(idmap === undefined ? {} : { idmap }),
    };
  }
  if (!isRemount && (type === "" || type === "none"))
    throw new RootfsError(`mount on ${destination}: it has no type, and is no bind`);
  if (options.idmap !== undefined || mount.uidMappings !== undefined)
    throw new RootfsError(`mount on ${destination}: only a bind can have its ids mapped`);
  if (options.copyUp && type !== "tmpfs")
    throw new RootfsError(`mount on ${destination}: tmpcopyup is for a tmpfs, not for a ${type}`);
  // A new mount is private, and has its own attributes from mount(2): only the rest is left to do.
  const rest = treeChanges({ ...options, top: { set: 0, clear: 0 } }, true).filter(
    ({ set, clear, propagation }) => set || clear || propagation !== MS.MS_PRIVATE,
  );
  return {
    op: "mount",
    type,
    source: mount.source ?? type,
    target,
    flags,
    data: [...options.data, ...labelData(linux, type, facts)].join(","),
    ...(rest.length === 0 ? {} : { changes: rest }),
    ...(options.copyUp ? { copyUp: true } : {}),
  };
}

function absoluteSource({ source = "", destination }: MountEntry, bundle = ""): string {
  if (source === "") throw new RootfsError(`mount on ${destination}: the bind has no source`);
  return source.startsWith("/") ? source : `${bundle}/${source}`;
}

/** The mappings of a mount: its own, else the container's (config.md, "Mounts", uidMappings). */
function idMapOf(
  mount: MountEntry,
  option: "idmap" | "ridmap" | undefined,
  linux: RootfsSpec["linux"],
): IdMap | undefined {
  if (option === undefined && mount.uidMappings === undefined && mount.gidMappings === undefined)
    return undefined;
  const uid = mount.uidMappings ?? linux?.uidMappings ?? [];
  const gid = mount.gidMappings ?? linux?.gidMappings ?? [];
  if (uid.length === 0 || gid.length === 0) {
    throw new RootfsError(
      `mount on ${mount.destination}: idmap needs uidMappings and gidMappings, of the mount or of the container`,
    );
  }
  return { uid, gid, recursive: option === "ridmap" };
}

/** The SELinux label of a file system's files; proc and sysfs have labels of their own, and mqueue takes none. */
function labelData(
  linux: RootfsSpec["linux"],
  type: string,
  { selinux = false }: RootfsFacts,
): string[] {
  const label = linux?.mountLabel ?? "";
  if (label === "") return [];
  if (!selinux) throw new RootfsError(`linux.mountLabel ${label}: this kernel has no SELinux`);
  return ["proc", "sysfs", "mqueue"].includes(type) ? [] : [`context="${label}"`];
}

/** Links that every container's /dev has. */
const DEVICE_LINKS: readonly (readonly [path: string, to: string])[] = [
  ["/dev/fd", "/proc/self/fd"],
  ["/dev/stdin", "/proc/self/fd/0"],
  ["/dev/stdout", "/proc/self/fd/1"],
  ["/dev/stderr", "/proc/self/fd/2"],
  ["/dev/ptmx", "pts/ptmx"],
];

/** Devices that every container has (config-linux.md, "Default Devices"). */
const DEFAULT_DEVICES: readonly (readonly [path: string, major: number, minor: number])[] = [
  ["/dev/null", 1, 3],
  ["/dev/zero", 1, 5],
  ["/dev/full", 1, 7],
  ["/dev/random", 1, 8],
  ["/dev/urandom", 1, 9],
  ["/dev/tty", 5, 0],
];

const TYPES = { c: S_IFCHR, u: S_IFCHR, b: S_IFBLK, p: S_IFIFO } as const;

function planDevice(device: DeviceEntry): DeviceOp {
  const { path, type, major = 0, minor = 0, fileMode = 0o666, uid = 0, gid = 0 } = device;
  const mode = TYPES[type] | (fileMode & 0o7777);
  return { op: "device", path, mode, major, minor, uid, gid };
}

/** Everything that is done to the root file system before the pivot, in order. @throws {RootfsError} */
export function planRootfs(spec: RootfsSpec, facts: RootfsFacts = {}): MountOp[] {
  const { mounts = [], linux = {} } = spec;
  const ops: MountOp[] = [];
  const sealed: MountOp[] = [];
  const add = (entry: MountEntry, otherwise?: string): void => {
    const op = planMount(entry, facts, linux);
    // Targets of later entries may have to be made inside of a read-only tmpfs: it is sealed last.
    if (op.op === "mount" && op.type === "tmpfs" && (op.flags & MS.MS_RDONLY) !== 0) {
      ops.push({ ...op, flags: op.flags & ~MS.MS_RDONLY, sealed: true });
      sealed.push({ op: "seal", target: op.target });
    } else {
      ops.push(op.op === "mount" && otherwise !== undefined ? { ...op, otherwise } : op);
    }
  };
  for (const entry of mounts) {
    if (entry.type !== "cgroup") {
      add(entry);
      continue;
    }
    const { entries, links, otherwise } = planCgroupMount(entry, facts.cgroup);
    for (const each of entries) add(each, otherwise);
    for (const { path, to } of links) ops.push({ op: "symlink", path, to });
  }
  const asked = linux.devices ?? [];
  if (ops.some((op) => op.op === "bind" && /^\/+dev\/*$/.test(op.target))) {
    // A /dev of the host has what it has.
    ops.push(...asked.filter(({ path }) => !path.startsWith("/dev/")).map(planDevice));
  } else {
    // What is mounted on a device's name takes its place.
    const taken = new Set(ops.map((op) => ("target" in op ? op.target : "")));
    for (const [path, major, minor] of DEFAULT_DEVICES) {
      if (taken.has(path) || asked.some((device) => device.path === path)) continue;
      ops.push(planDevice({ path, type: "c", major, minor }));
    }
    ops.push(...asked.filter(({ path }) => !taken.has(path)).map(planDevice));
    for (const [path, to] of DEVICE_LINKS) ops.push({ op: "symlink", path, to });
  }
  ops.push(...sealed);
  for (const target of linux.readonlyPaths ?? []) ops.push({ op: "readonly", target });
  for (const target of linux.maskedPaths ?? []) ops.push({ op: "mask", target });
  return markHolders(ops);
}

/** Marks each tmpfs that something of ours goes right into: it is held open for that. */
function markHolders(ops: readonly MountOp[]): MountOp[] {
  const parents = new Set(
    ops.map((op) => {
      const path = "path" in op ? op.path : op.target;
      return path.slice(0, path.lastIndexOf("/"));
    }),
  );
  return ops.map((op) =>
    op.op === "mount" && op.type === "tmpfs" && op.copyUp !== true && parents.has(op.target)
      ? { ...op, holds: true }
      : op,
  );
}

/** Makes the binds at some targets show a part of their sources. */
export function bindBelow(
  ops: readonly MountOp[],
  parts: ReadonlyMap<string, NonNullable<BindOp["below"]>>,
): readonly MountOp[] {
  return ops.map((op) => {
    const below = op.op === "bind" ? parts.get(op.target) : undefined;
    return op.op === "bind" && below !== undefined ? { ...op, below } : op;
  });
}

/**
 * Says which of the operations have to wait for the container's creator, which makes the directories
 * and files `made` while init is at work: those that show them, those that show the cgroup that
 * their mounter is in (cgroup_namespaces(7)), and, because order counts, all behind the first.
 */
export function holdBack(
  ops: readonly MountOp[],
  made: ReadonlySet<string>,
): { readonly mounts: readonly MountOp[]; readonly lateFrom: number } {
  let lateFrom = ops.length;
  const mounts = ops.map((op, index) => {
    const isMade = op.op === "bind" && made.has(op.source);
    const waits = isMade || (op.op === "mount" && op.type.startsWith("cgroup"));
    if (waits && index < lateFrom) lateFrom = index;
    return isMade ? { ...op, isMade } : op;
  });
  return { mounts, lateFrom };
}

/** What `seal` and recursive read-only paths set. */
export const READONLY: MountChange = { set: MOUNT_ATTR.MOUNT_ATTR_RDONLY };
