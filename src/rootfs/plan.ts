/**
 * What is to be mounted where, computed before anything is touched: a list of operations that
 * `apply.ts` replays in the container's mount namespace. Pure, so it is tested without root.
 */
import { S_IFBLK, S_IFCHR, S_IFIFO } from "../linux/file.ts";
import { MOUNT_ATTR, MS } from "../linux/mount.ts";

/** One operation on the container's root file system. `target` is a path inside the container. */
export type MountOp =
  | {
      readonly op: "mount";
      readonly type: string;
      readonly source: string;
      readonly target: string;
      readonly flags: number;
      readonly data: string;
    }
  | BindOp
  | {
      readonly op: "device";
      readonly path: string;
      readonly mode: number;
      readonly major: number;
      readonly minor: number;
      readonly uid: number;
      readonly gid: number;
    }
  | { readonly op: "symlink"; readonly path: string; readonly to: string }
  /** Changes attributes (MOUNT_ATTR_*) of what is mounted at the target. */
  | { readonly op: "attributes"; readonly target: string; readonly set: number }
  /** Hides a file behind /dev/null, or a directory behind an empty tmpfs. Missing is fine. */
  | { readonly op: "mask"; readonly target: string }
  /** Binds a tree read-only onto itself. Missing is fine. */
  | { readonly op: "readonly"; readonly target: string };

/** A tree of the host that shows in the container. */
export interface BindOp {
  readonly op: "bind";
  /** path on the host */
  readonly source: string;
  readonly target: string;
  readonly recursive: boolean;
  /** MOUNT_ATTR_* bits, on all mounts of the tree */
  readonly set: number;
  /** MS_PRIVATE, MS_SLAVE, MS_SHARED or MS_UNBINDABLE */
  readonly propagation: number;
}

interface OptionEffect {
  readonly set?: number;
  readonly clear?: number;
  readonly attr?: number;
  readonly propagation?: number;
}

/** Mount options of mount(8) and the OCI specification that are flags; others are file system data. */
const OPTIONS: Readonly<Record<string, OptionEffect>> = {
  defaults: {},
  ro: { set: MS.MS_RDONLY, attr: MOUNT_ATTR.MOUNT_ATTR_RDONLY },
  rw: { clear: MS.MS_RDONLY },
  nosuid: { set: MS.MS_NOSUID, attr: MOUNT_ATTR.MOUNT_ATTR_NOSUID },
  suid: { clear: MS.MS_NOSUID },
  nodev: { set: MS.MS_NODEV, attr: MOUNT_ATTR.MOUNT_ATTR_NODEV },
  dev: { clear: MS.MS_NODEV },
  noexec: { set: MS.MS_NOEXEC, attr: MOUNT_ATTR.MOUNT_ATTR_NOEXEC },
  exec: { clear: MS.MS_NOEXEC },
  noatime: { set: MS.MS_NOATIME, attr: MOUNT_ATTR.MOUNT_ATTR_NOATIME },
  nodiratime: { set: MS.MS_NODIRATIME },
  relatime: { set: MS.MS_RELATIME },
  strictatime: { set: MS.MS_STRICTATIME },
  sync: { set: MS.MS_SYNCHRONOUS },
  bind: { set: MS.MS_BIND },
  rbind: { set: MS.MS_BIND | MS.MS_REC },
  private: { propagation: MS.MS_PRIVATE },
  rprivate: { propagation: MS.MS_PRIVATE },
  slave: { propagation: MS.MS_SLAVE },
  rslave: { propagation: MS.MS_SLAVE },
  shared: { propagation: MS.MS_SHARED },
  rshared: { propagation: MS.MS_SHARED },
  unbindable: { propagation: MS.MS_UNBINDABLE },
  runbindable: { propagation: MS.MS_UNBINDABLE },
};

/** An entry of config.json's `mounts`. */
export interface MountEntry {
  readonly destination: string;
  readonly type: string;
  readonly source: string;
  readonly options: readonly string[];
}

/** The operation for one entry of config.json's `mounts`. */
export function planMount(mount: MountEntry): MountOp {
  let flags = 0;
  let attributes = 0;
  let propagation: number = MS.MS_PRIVATE;
  const data: string[] = [];
  for (const option of mount.options) {
    const effect = OPTIONS[option];
    if (effect === undefined) {
      data.push(option);
      continue;
    }
    flags = (flags | (effect.set ?? 0)) & ~(effect.clear ?? 0);
    attributes |= effect.attr ?? 0;
    propagation = effect.propagation ?? propagation;
  }
  const { source, type, destination: target } = mount;
  if ((flags & MS.MS_BIND) !== 0 || type === "bind") {
    const recursive = (flags & MS.MS_REC) !== 0;
    return { op: "bind", source, target, recursive, set: attributes, propagation };
  }
  return { op: "mount", type, source, target, flags, data: data.join(",") };
}

/** Links that every container's /dev has. */
const DEVICE_LINKS: readonly (readonly [path: string, to: string])[] = [
  ["/dev/fd", "/proc/self/fd"],
  ["/dev/stdin", "/proc/self/fd/0"],
  ["/dev/stdout", "/proc/self/fd/1"],
  ["/dev/stderr", "/proc/self/fd/2"],
  ["/dev/ptmx", "pts/ptmx"],
];

const NODE_TYPES = { c: S_IFCHR, b: S_IFBLK, p: S_IFIFO } as const;

/** The parts of config.json that this layer reads. */
export interface RootfsSpec {
  readonly mounts: readonly MountEntry[];
  readonly linux: {
    readonly devices: readonly {
      readonly path: string;
      readonly type: "c" | "b" | "p";
      readonly major: number;
      readonly minor: number;
      readonly fileMode: number;
      readonly uid?: number;
      readonly gid?: number;
    }[];
    readonly maskedPaths: readonly string[];
    readonly readonlyPaths: readonly string[];
  };
}

/** Everything that is done to the root file system before the pivot, in order. */
export function planRootfs(spec: RootfsSpec): MountOp[] {
  const ops: MountOp[] = [];
  const sealed: MountOp[] = [];
  for (const entry of spec.mounts) {
    const op = planMount(entry);
    // Targets of later entries may have to be made inside of a read-only tmpfs: it is sealed last.
    if (op.op === "mount" && op.type === "tmpfs" && (op.flags & MS.MS_RDONLY) !== 0) {
      ops.push({ ...op, flags: op.flags & ~MS.MS_RDONLY });
      sealed.push({ op: "attributes", target: op.target, set: MOUNT_ATTR.MOUNT_ATTR_RDONLY });
    } else {
      ops.push(op);
    }
  }
  if (ops.some((op) => op.op === "mount" && op.target === "/dev")) {
    for (const device of spec.linux.devices) {
      ops.push({
        op: "device",
        path: device.path,
        mode: NODE_TYPES[device.type] | device.fileMode,
        major: device.major,
        minor: device.minor,
        uid: device.uid ?? 0,
        gid: device.gid ?? 0,
      });
    }
    for (const [path, to] of DEVICE_LINKS) ops.push({ op: "symlink", path, to });
  }
  ops.push(...sealed);
  for (const target of spec.linux.readonlyPaths) ops.push({ op: "readonly", target });
  for (const target of spec.linux.maskedPaths) ops.push({ op: "mask", target });
  return ops;
}
