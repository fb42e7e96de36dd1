/** Mounts: mount(2), umount2(2), pivot_root(2), the file-descriptor mount API, statfs(2). Constants from linux/mount.h. */
import { cString } from "../ffi/bytes.ts";
import { check, Flags } from "../ffi/call.ts";
import { libc } from "../ffi/libc.ts";
import { defineStruct } from "../ffi/struct.ts";
import { AT_EMPTY_PATH, AT_FDCWD } from "./fd.ts";
import { SYS } from "./syscall_numbers.ts";

export const MS = {
  MS_RDONLY: 1,
  MS_NOSUID: 2,
  MS_NODEV: 4,
  MS_NOEXEC: 8,
  MS_SYNCHRONOUS: 16,
  MS_REMOUNT: 32,
  MS_MANDLOCK: 64,
  MS_DIRSYNC: 128,
  MS_NOSYMFOLLOW: 256,
  MS_NOATIME: 1024,
  MS_NODIRATIME: 2048,
  MS_BIND: 4096,
  MS_MOVE: 8192,
  MS_REC: 16384,
  MS_SILENT: 32768,
  MS_POSIXACL: 1 << 16,
  MS_UNBINDABLE: 1 << 17,
  MS_PRIVATE: 1 << 18,
  MS_SLAVE: 1 << 19,
  MS_SHARED: 1 << 20,
  MS_RELATIME: 1 << 21,
  MS_I_VERSION: 1 << 23,
  MS_STRICTATIME: 1 << 24,
  MS_LAZYTIME: 1 << 25,
} as const;

export const MNT_DETACH = 2;
export const OPEN_TREE = {
  OPEN_TREE_CLONE: 1,
  OPEN_TREE_CLOEXEC: 0o2000000,
  AT_EMPTY_PATH,
  AT_RECURSIVE: 0x8000,
} as const;
export const MOVE_MOUNT_F_EMPTY_PATH = 0x4;
export const MOVE_MOUNT_T_EMPTY_PATH = 0x40;
export const MOUNT_ATTR = {
  MOUNT_ATTR_RDONLY: 1,
  MOUNT_ATTR_NOSUID: 2,
  MOUNT_ATTR_NODEV: 4,
  MOUNT_ATTR_NOEXEC: 8,
  MOUNT_ATTR_NOATIME: 0x10,
  MOUNT_ATTR_STRICTATIME: 0x20,
  MOUNT_ATTR_NODIRATIME: 0x80,
  MOUNT_ATTR_IDMAP: 0x100000,
  MOUNT_ATTR_NOSYMFOLLOW: 0x200000,
} as const;
/** All of the access-time setting, which is one value and not bits: it is cleared whole, then set (mount_setattr(2)). */
export const MOUNT_ATTR__ATIME = 0x70;

// linux/magic.h
export const CGROUP_SUPER_MAGIC = 0x27e0eb;
export const CGROUP2_SUPER_MAGIC = 0x63677270;
export const PROC_SUPER_MAGIC = 0x9fa0;
export const DEVPTS_SUPER_MAGIC = 0x1cd1;

/** mount(2). */
export function mount(
  source: string | null,
  target: string,
  type: string | null,
  flags: number,
  data?: string,
): void {
  const text = (value: string | null | undefined) =>
    value === null || value === undefined ? null : cString(value);
  const [from, to, kind, options] = [text(source), cString(target), text(type), text(data)];
  check(
    "mount",
    () => ({ source: source ?? type, on: target, data, flags: new Flags(MS, flags) }),
    libc.mount(from, to, kind, flags, options),
  );
}

/** umount2(2). */
export function umount(target: string, flags = 0): void {
  check(
    "umount",
    () => ({ path: target, flags: new Flags({ MNT_DETACH }, flags) }),
    libc.umount2(cString(target), flags),
  );
}

/** pivot_root(2). */
export function pivotRoot(newRoot: string, putOld: string): void {
  check(
    "pivot_root",
    () => ({ path: newRoot, old: putOld }),
    libc.pivot_root(SYS.pivot_root, cString(newRoot), cString(putOld)),
  );
}

/** open_tree(2) with OPEN_TREE_CLONE. @returns the descriptor of a detached copy of the mount at `path` */
export function cloneTree(dirfd: number, path: string, recursive: boolean): number {
  const flags =
    OPEN_TREE.OPEN_TREE_CLONE |
    OPEN_TREE.OPEN_TREE_CLOEXEC |
    AT_EMPTY_PATH |
    (recursive ? OPEN_TREE.AT_RECURSIVE : 0);
  return check(
    "open_tree",
    () => ({ path, flags: new Flags(OPEN_TREE, flags) }),
    libc.open_tree(SYS.open_tree, dirfd, cString(path), flags),
  );
}

/** open_tree(2) of what is there, as O_PATH, but with an automount done. @returns a descriptor */
export function openTree(path: string): number {
  const flags = OPEN_TREE.OPEN_TREE_CLOEXEC;
  return check(
    "open_tree",
    () => ({ path, flags: new Flags(OPEN_TREE, flags) }),
    libc.open_tree(SYS.open_tree, AT_FDCWD, cString(path), flags),
  );
}

/** move_mount(2) from one descriptor onto another. @param name of the target, for an error */
export function moveMount(fromFd: number, toFd: number, name = ""): void {
  const empty = cString("");
  const flags = MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH;
  check(
    "move_mount",
    () => ({ fd: fromFd, on: name || toFd }),
    libc.move_mount(SYS.move_mount, fromFd, empty, toFd, empty, flags),
  );
}

const mountAttr = defineStruct({
  attrSet: "u64",
  attrClr: "u64",
  propagation: "u64",
  usernsFd: "u64",
});

/** What mount_setattr(2) is to change. */
export interface MountChange {
  /** MOUNT_ATTR_* bits; an access-time setting needs {@link MOUNT_ATTR__ATIME} in `clear` */
  readonly set?: number;
  readonly clear?: number;
  /** MS_PRIVATE, MS_SLAVE, MS_SHARED or MS_UNBINDABLE */
  readonly propagation?: number;
  /** also of all mounts below */
  readonly recursive?: boolean;
  /** with MOUNT_ATTR_IDMAP: the user namespace whose mappings are the mount's */
  readonly userNamespace?: number;
}

/** mount_setattr(2) on the mount that `fd` names. */
export function mountSetAttributes(fd: number, change: MountChange): void {
  const attr = mountAttr.alloc();
  mountAttr.set(attr, "attrSet", change.set ?? 0);
  mountAttr.set(attr, "attrClr", change.clear ?? 0);
  mountAttr.set(attr, "propagation", change.propagation ?? 0);
  mountAttr.set(attr, "usernsFd", change.userNamespace ?? 0);
  const flags = AT_EMPTY_PATH | (change.recursive === true ? OPEN_TREE.AT_RECURSIVE : 0);
  check(
    "mount_setattr",
    () => ({ fd, flags: new Flags(MOUNT_ATTR, change.set ?? 0) }),
    libc.mount_setattr(SYS.mount_setattr, fd, cString(""), flags, attr, mountAttr.size),
  );
}

/** fsopen(2). @returns a descriptor on which a file system of this type is configured */
export function openFileSystem(type: string): number {
  const FSOPEN_CLOEXEC = 1;
  return check(
    "fsopen",
    () => ({ name: type }),
    libc.fsopen(SYS.fsopen, cString(type), FSOPEN_CLOEXEC),
  );
}

/** fsconfig(2): one parameter of a file system, with a value or as a flag. */
export function setFileSystemParameter(fd: number, key: string, value?: string): void {
  const [FSCONFIG_SET_FLAG, FSCONFIG_SET_STRING] = [0, 1];
  const command = value === undefined ? FSCONFIG_SET_FLAG : FSCONFIG_SET_STRING;
  const text = value === undefined ? null : cString(value);
  check(
    "fsconfig",
    () => ({ name: key, value }),
    libc.fsconfig(SYS.fsconfig, fd, command, cString(key), text, 0),
  );
}

/** fsconfig(2) FSCONFIG_CMD_CREATE, then fsmount(2). @returns the descriptor of a mount that no path leads to */
export function mountDetached(fd: number): number {
  const [FSCONFIG_CMD_CREATE, FSMOUNT_CLOEXEC] = [6, 1];
  check(
    "fsconfig",
    () => ({ command: "FSCONFIG_CMD_CREATE" }),
    libc.fsconfig(SYS.fsconfig, fd, FSCONFIG_CMD_CREATE, null, null, 0),
  );
  return check("fsmount", () => ({ fd }), libc.fsmount(SYS.fsmount, fd, FSMOUNT_CLOEXEC, 0));
}

/** The magic number of the file system that a descriptor's file is on (fstatfs(2), linux/magic.h). */
export function fileSystemMagicOf(fd: number): number {
  const buffer = new Uint8Array(128);
  check("fstatfs", () => ({ fd }), libc.fstatfs(fd, buffer));
  return Number(new DataView(buffer.buffer).getBigInt64(0, true));
}

/** The file system's magic number at `path` (statfs(2), linux/magic.h). */
export function fileSystemMagic(path: string): number {
  const buffer = new Uint8Array(128);
  check("statfs", { path }, libc.statfs(cString(path), buffer));
  return Number(new DataView(buffer.buffer).getBigInt64(0, true));
}

// bits/statfs.h of glibc, with the kernel's f_flags
const statfsBuffer = defineStruct({
  type: "i64",
  bsize: "i64",
  blocks: "u64",
  bfree: "u64",
  bavail: "u64",
  files: "u64",
  ffree: "u64",
  fsid: "u64",
  namelen: "i64",
  frsize: "i64",
  flags: "i64",
  rest: { bytes: 32 },
});
const ST_RDONLY = 1;

/** What room a file system has. */
export interface FileSystemUsage {
  /** linux/magic.h */
  readonly magic: number;
  /** bytes */
  readonly size: number;
  /** bytes, for root */
  readonly free: number;
  /** 0: it does not count them */
  readonly inodes: number;
  readonly freeInodes: number;
  /** The file system, or this mount of it. */
  readonly readOnly: boolean;
}

/** The room on the file system at `path` (statfs(2)). */
export function fileSystemUsage(path: string): FileSystemUsage {
  const buffer = statfsBuffer.alloc();
  check("statfs", { path }, libc.statfs(cString(path), buffer));
  const field = (name: keyof (typeof statfsBuffer)["offsets"]) => statfsBuffer.get(buffer, name);
  const block = field("frsize") || field("bsize");
  return {
    magic: field("type"),
    size: field("blocks") * block,
    free: field("bfree") * block,
    inodes: field("files"),
    freeInodes: field("ffree"),
    readOnly: (field("flags") & ST_RDONLY) !== 0,
  };
}
