/**
 * What is to be mounted where, computed before anything is touched: a list of operations that
 * `apply.ts` replays in the container's mount namespace. Pure, so it is tested without root.
 */
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
  | {
      readonly op: "bind";
      readonly source: string;
      readonly target: string;
      readonly recursive: boolean;
      readonly set: number;
      readonly propagation: number;
    }
  | {
      readonly op: "device";
      readonly path: string;
      readonly mode: number;
      readonly major: number;
      readonly minor: number;
    }
  | { readonly op: "symlink"; readonly path: string; readonly to: string }
  | { readonly op: "mask"; readonly target: string }
  | { readonly op: "readonly"; readonly target: string };

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
  noatime: { set: MS.MS_NOATIME },
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
};

/** The operation for one entry of config.json's `mounts`. */
export function planMount(mount: {
  destination: string;
  type: string;
  source: string;
  options: readonly string[];
}): MountOp {
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
  if (flags & MS.MS_BIND || mount.type === "bind") {
    return {
      op: "bind",
      source: mount.source,
      target: mount.destination,
      recursive: (flags & MS.MS_REC) !== 0,
      set: attributes,
      propagation,
    };
  }
  return {
    op: "mount",
    type: mount.type,
    source: mount.source,
    target: mount.destination,
    flags,
    data: data.join(","),
  };
}

/** Links that every container's /dev has. */
const DEVICE_LINKS: readonly (readonly [path: string, to: string])[] = [
  ["/dev/fd", "/proc/self/fd"],
  ["/dev/stdin", "/proc/self/fd/0"],
  ["/dev/stdout", "/proc/self/fd/1"],
  ["/dev/stderr", "/proc/self/fd/2"],
  ["/dev/ptmx", "pts/ptmx"],
];

/** Everything that is done to the root file system before the pivot, in order. */
export function planRootfs(spec: {
  readonly mounts: readonly {
    destination: string;
    type: string;
    source: string;
    options: readonly string[];
  }[];
  readonly linux: {
    readonly devices: readonly {
      path: string;
      type: "c" | "b";
      major: number;
      minor: number;
      fileMode: number;
    }[];
    readonly maskedPaths: readonly string[];
    readonly readonlyPaths: readonly string[];
  };
}): MountOp[] {
  const ops = spec.mounts.map(planMount);
  const ownDev = ops.some((op) => op.op === "mount" && op.target === "/dev");
  if (ownDev) {
    for (const device of spec.linux.devices) {
      const kind = device.type === "c" ? 0o020000 : 0o060000;
      ops.push({
        op: "device",
        path: device.path,
        mode: kind | device.fileMode,
        major: device.major,
        minor: device.minor,
      });
    }
    for (const [path, to] of DEVICE_LINKS) ops.push({ op: "symlink", path, to });
  }
  for (const target of spec.linux.readonlyPaths) ops.push({ op: "readonly", target });
  for (const target of spec.linux.maskedPaths) ops.push({ op: "mask", target });
  return ops;
}
