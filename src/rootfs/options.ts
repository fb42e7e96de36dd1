/** Mount options of mount(8) and the OCI specification (config.md, "Linux mount options"). Pure. */
import { MOUNT_ATTR, MOUNT_ATTR__ATIME, type MountChange, MS } from "../linux/mount.ts";

/** What an option does. */
interface Effect {
  /** MS_* bits of mount(2) that it sets, or takes back */
  readonly flag?: number;
  readonly unflag?: number;
  /** MOUNT_ATTR_* bits that it sets, or takes back, on the mount itself … */
  readonly set?: number;
  readonly clear?: number;
  /** … and on all mounts below it */
  readonly recursive?: boolean;
  /** MS_PRIVATE, MS_SLAVE, MS_SHARED or MS_UNBINDABLE */
  readonly propagation?: number;
  readonly switches?: "copyUp" | "idmap" | "ridmap";
}

/** An attribute of a mount: the option that sets it, the one that takes it back, and the `r` forms of both. */
function attribute(name: string, opposite: string, flag: number, bit: number): [string, Effect][] {
  return [
    [name, { flag, set: bit }],
    [opposite, { unflag: flag, clear: bit }],
    [`r${name}`, { set: bit, recursive: true }],
    [`r${opposite}`, { clear: bit, recursive: true }],
  ];
}

/** A setting of access times: it replaces another one; its opposite goes back to the default, relatime. */
function accessTime(name: string, opposite: string, flag: number, bit: number): [string, Effect][] {
  const others = MS.MS_NOATIME | MS.MS_RELATIME | MS.MS_STRICTATIME;
  const set = { set: bit, clear: MOUNT_ATTR__ATIME };
  const back = { clear: MOUNT_ATTR__ATIME };
  return [
    [name, { flag, unflag: others, ...set }],
    [opposite, { unflag: flag, ...back }],
    [`r${name}`, { ...set, recursive: true }],
    [`r${opposite}`, { ...back, recursive: true }],
  ];
}

/** An option of the file system rather than of the mount. */
const flagOnly = (name: string, opposite: string, flag: number): [string, Effect][] => [
  [name, { flag }],
  [opposite, { unflag: flag }],
];

const propagation = (name: string, type: number): [string, Effect][] => [
  [name, { propagation: type }],
  [`r${name}`, { propagation: type, recursive: true }],
];

const OPTIONS: ReadonlyMap<string, Effect> = new Map<string, Effect>([
  ["defaults", {}],
  ...attribute("ro", "rw", MS.MS_RDONLY, MOUNT_ATTR.MOUNT_ATTR_RDONLY),
  ...attribute("nosuid", "suid", MS.MS_NOSUID, MOUNT_ATTR.MOUNT_ATTR_NOSUID),
  ...attribute("nodev", "dev", MS.MS_NODEV, MOUNT_ATTR.MOUNT_ATTR_NODEV),
  ...attribute("noexec", "exec", MS.MS_NOEXEC, MOUNT_ATTR.MOUNT_ATTR_NOEXEC),
  ...attribute("nodiratime", "diratime", MS.MS_NODIRATIME, MOUNT_ATTR.MOUNT_ATTR_NODIRATIME),
  ...attribute("nosymfollow", "symfollow", MS.MS_NOSYMFOLLOW, MOUNT_ATTR.MOUNT_ATTR_NOSYMFOLLOW),
  ...accessTime("noatime", "atime", MS.MS_NOATIME, MOUNT_ATTR.MOUNT_ATTR_NOATIME),
  ...accessTime("relatime", "norelatime", MS.MS_RELATIME, 0),
  ...accessTime(
    "strictatime",
    "nostrictatime",
    MS.MS_STRICTATIME,
    MOUNT_ATTR.MOUNT_ATTR_STRICTATIME,
  ),
  ...flagOnly("sync", "async", MS.MS_SYNCHRONOUS),
  ...flagOnly("dirsync", "nodirsync", MS.MS_DIRSYNC),
  ...flagOnly("lazytime", "nolazytime", MS.MS_LAZYTIME),
  ...flagOnly("iversion", "noiversion", MS.MS_I_VERSION),
  ...flagOnly("mand", "nomand", MS.MS_MANDLOCK),
  ...flagOnly("acl", "noacl", MS.MS_POSIXACL),
  ...flagOnly("silent", "loud", MS.MS_SILENT),
  ["remount", { flag: MS.MS_REMOUNT }],
  ["bind", { flag: MS.MS_BIND }],
  ["rbind", { flag: MS.MS_BIND | MS.MS_REC }],
  ...propagation("private", MS.MS_PRIVATE),
  ...propagation("slave", MS.MS_SLAVE),
  ...propagation("shared", MS.MS_SHARED),
  ...propagation("unbindable", MS.MS_UNBINDABLE),
  ["tmpcopyup", { switches: "copyUp" }],
  ["idmap", { switches: "idmap" }],
  ["ridmap", { switches: "ridmap" }],
]);

/** The options that are not for a file system to understand, sorted. */
export const knownMountOptions = (): string[] => [...OPTIONS.keys()].sort();

/** Bits of attributes to set and to take back. */
interface Bits {
  readonly set: number;
  readonly clear: number;
}

/** The options of one mount, sorted by what they mean to the kernel. */
export interface ParsedOptions {
  /** MS_* bits */
  readonly flags: number;
  /** what is for the file system to understand */
  readonly data: readonly string[];
  /** attributes of the mount itself, and of it with all below */
  readonly top: Bits;
  readonly recursive: Bits;
  /** in the order in which they were given */
  readonly propagation: readonly { readonly type: number; readonly recursive: boolean }[];
  readonly copyUp: boolean;
  readonly idmap?: "idmap" | "ridmap";
}

/** Sorts the options of a mount. What is not known is for the file system. */
export function parseOptions(options: readonly string[]): ParsedOptions {
  let flags = 0;
  let top: Bits = { set: 0, clear: 0 };
  let recursive = top;
  let copyUp = false;
  let idmap: "idmap" | "ridmap" | undefined;
  const types: { type: number; recursive: boolean }[] = [];
  const data: string[] = [];
  for (const option of options) {
    const effect = OPTIONS.get(option);
    if (effect === undefined) {
      data.push(option);
      continue;
    }
    flags = (flags & ~(effect.unflag ?? 0)) | (effect.flag ?? 0);
    if (effect.recursive === true) recursive = add(recursive, effect);
    else top = add(top, effect);
    if (effect.propagation !== undefined)
      types.push({ type: effect.propagation, recursive: effect.recursive === true });
    if (effect.switches === "copyUp") copyUp = true;
    else idmap = effect.switches ?? idmap;
  }
  return {
    flags,
    data,
    top,
    recursive,
    propagation: types,
    copyUp,
    ...(idmap === undefined ? {} : { idmap }),
  };
}

/** The last word counts: what is set is not taken back, and the other way round. */
function add(bits: Bits, { set = 0, clear = 0 }: Effect): Bits {
  return {
    set: (bits.set & ~clear) | set,
    clear: (bits.clear & ~(set & ~MOUNT_ATTR__ATIME)) | clear,
  };
}

/**
 * The calls of mount_setattr(2) by which a copied tree gets its options.
 * @param wholeTree false when the tree is one mount, so that one call does for all
 * @param isNew false for a mount that is there already, and keeps what nothing is said of
 */
export function treeChanges(
  options: ParsedOptions,
  wholeTree: boolean,
  isNew = true,
): MountChange[] {
  const { top, recursive } = options;
  const changes: MountChange[] = [];
  if (!wholeTree) changes.push({ ...add(top, recursive), recursive: false });
  else {
    // What is asked for of all mounts is asked for of the first one, too.
    const rest = ~(recursive.set | recursive.clear);
    const [set, clear] = [top.set & rest, top.clear & rest];
    if ((set | clear) !== 0) changes.push({ set, clear, recursive: false });
    changes.push({ ...recursive, recursive: true });
  }
  const steps = isNew ? propagationSteps(options, wholeTree) : options.propagation;
  for (const { type, recursive: all } of steps) {
    changes.push({ propagation: type, recursive: all && wholeTree });
  }
  let merged: MountChange[] = [];
  for (const change of changes) merged = merge(merged, change);
  return merged;
}

/**
 * A copy of a shared mount shares with its original: without a word of it, nothing does. Of what is
 * below, a type that is for the first mount only says nothing; it gets the host's mounts, and gives none.
 */
function propagationSteps({ propagation: types }: ParsedOptions, wholeTree: boolean) {
  const [first] = types;
  if (first === undefined) return [{ type: MS.MS_PRIVATE, recursive: true }];
  if (!wholeTree || first.recursive || first.type === MS.MS_SHARED) return types;
  return [{ type: MS.MS_SLAVE, recursive: true }, ...types];
}

/** Two changes that go together become one call. */
function merge(done: MountChange[], next: MountChange): MountChange[] {
  const last = done[done.length - 1];
  const isEmpty = last !== undefined && !last.set && !last.clear && !last.propagation;
  if (isEmpty) return [...done.slice(0, -1), next];
  if (last === undefined || last.propagation !== undefined || last.recursive !== next.recursive)
    return [...done, next];
  return [...done.slice(0, -1), { ...last, ...next }];
}
