/**
 * config.json of the OCI runtime specification 1.3 for Linux, after `validate.ts` has read it: lists,
 * maps and switches that may be left out are there, with what the specification says they then mean.
 */
import type { Resources } from "../cgroups/resources.ts";
import type { NamespaceEntry } from "../namespaces/namespaces.ts";
import type { Seccomp } from "../seccomp/profile.ts";

/** Texts by name. */
export type Strings = Readonly<Record<string, string>>;

/** `process.user`: numeric ids. */
export interface User {
  readonly uid: number;
  readonly gid: number;
  readonly additionalGids: readonly number[];
  readonly umask?: number;
}

/** `process.rlimits`: values are in the resource's unit; from 2^63 up they are RLIM_INFINITY. */
export interface Rlimit {
  readonly type: string;
  readonly soft: number;
  readonly hard: number;
}

/** `process.capabilities`: names such as CAP_CHOWN. */
export interface CapabilitySets {
  readonly bounding: readonly string[];
  readonly effective: readonly string[];
  readonly permitted: readonly string[];
  readonly inheritable: readonly string[];
  readonly ambient: readonly string[];
}

/** `process.scheduler` (sched_setattr(2)). */
export interface Scheduler {
  readonly policy: string;
  /** -20–19, for SCHED_OTHER and SCHED_BATCH */
  readonly nice?: number;
  /** 1–99, for SCHED_FIFO and SCHED_RR */
  readonly priority?: number;
  /** SCHED_FLAG_* */
  readonly flags: readonly string[];
  /** Nanoseconds, for SCHED_DEADLINE; as the two below. */
  readonly runtime?: number;
  readonly deadline?: number;
  readonly period?: number;
}

/** `process.ioPriority` (ioprio_set(2)). */
export interface IoPriority {
  readonly class: "IOPRIO_CLASS_RT" | "IOPRIO_CLASS_BE" | "IOPRIO_CLASS_IDLE";
  /** 0–7, 0 is the most */
  readonly priority: number;
}

/** `process.execCPUAffinity`: lists such as `0-2,7`, before and after the process enters the cgroup. */
export interface ExecCpuAffinity {
  readonly initial?: string;
  readonly final?: string;
}

/** `process`: what is executed, as whom and with which rights. */
export interface Process {
  readonly terminal: boolean;
  /** characters */
  readonly consoleSize?: { readonly height: number; readonly width: number };
  readonly user: User;
  /** Byte strings, passed to execve(2) as they are. */
  readonly args: readonly string[];
  readonly env: readonly string[];
  readonly cwd: string;
  readonly capabilities: CapabilitySets;
  readonly rlimits: readonly Rlimit[];
  readonly noNewPrivileges: boolean;
  readonly oomScoreAdj?: number;
  readonly apparmorProfile?: string;
  readonly selinuxLabel?: string;
  readonly scheduler?: Scheduler;
  readonly ioPriority?: IoPriority;
  readonly execCPUAffinity?: ExecCpuAffinity;
}

/** A range of `uidMappings` or `gidMappings` (user_namespaces(7)). */
export interface IdMapping {
  readonly containerID: number;
  readonly hostID: number;
  readonly size: number;
}

/** `mounts[]`: `options` as in mount(8). */
export interface Mount {
  /** absolute, with no `.` or `..` in it */
  readonly destination: string;
  readonly type: string;
  /** of a bind mount, may be relative to the bundle */
  readonly source: string;
  readonly options: readonly string[];
  /** both or neither */
  readonly uidMappings?: readonly IdMapping[];
  readonly gidMappings?: readonly IdMapping[];
}

/** A hook: `args` is execve(2)'s argv, with the program's own name at its head. */
export interface Hook {
  readonly path: string;
  readonly args: readonly string[];
  /** left out, the hook has the runtime's own environment, as under runc */
  readonly env?: readonly string[];
  /** seconds */
  readonly timeout?: number;
}

/** The places in a container's life at which hooks run, in that order. */
export const HOOK_PLACES = [
  "prestart",
  "createRuntime",
  "createContainer",
  "startContainer",
  "poststart",
  "poststop",
] as const;
/** One of {@link HOOK_PLACES}. */
export type HookPlace = (typeof HOOK_PLACES)[number];
/** `hooks`; places without any are left out. */
export type Hooks = { readonly [place in HookPlace]?: readonly Hook[] };

/** An entry of `linux.devices`. The specification's type `u` is the same as `c`. */
export interface Device {
  readonly path: string;
  readonly type: "c" | "b" | "p";
  /** 0 for a FIFO, as `minor` */
  readonly major: number;
  readonly minor: number;
  readonly fileMode: number;
  readonly uid?: number;
  readonly gid?: number;
}

/** A clock's offset in `linux.timeOffsets` (time_namespaces(7)). */
export interface TimeOffset {
  readonly secs: number;
  readonly nanosecs: number;
}

/** `linux.intelRdt` (the kernel's documentation, x86/resctrl). */
export interface IntelRdt {
  readonly closID?: string;
  readonly schemata: readonly string[];
  readonly l3CacheSchema?: string;
  readonly memBwSchema?: string;
  readonly enableMonitoring: boolean;
}

/** `linux.memoryPolicy` (set_mempolicy(2)). */
export interface MemoryPolicy {
  readonly mode: string;
  /** a list such as `0-2,7` */
  readonly nodes: string;
  readonly flags: readonly string[];
}

/** `linux.rootfsPropagation`; with `r`, which dockerd writes too, all mounts of the tree. */
export const ROOTFS_PROPAGATIONS = [
  "private",
  "rprivate",
  "shared",
  "rshared",
  "slave",
  "rslave",
  "unbindable",
  "runbindable",
] as const;
/** One of {@link ROOTFS_PROPAGATIONS}. */
export type RootfsPropagation = (typeof ROOTFS_PROPAGATIONS)[number];

/** `linux`. */
export interface Linux {
  /** at most one of a type */
  readonly namespaces: readonly NamespaceEntry[];
  readonly uidMappings: readonly IdMapping[];
  readonly gidMappings: readonly IdMapping[];
  readonly timeOffsets?: { readonly monotonic?: TimeOffset; readonly boottime?: TimeOffset };
  readonly devices: readonly Device[];
  /** by name on the host; `name` is the one inside */
  readonly netDevices: Readonly<Record<string, { readonly name?: string }>>;
  /** empty: the runtime chooses */
  readonly cgroupsPath: string;
  readonly resources: Resources;
  readonly rootfsPropagation?: RootfsPropagation;
  readonly seccomp?: Seccomp;
  /** Names are apart by dots, or by slashes where a part of the name has a dot in it. */
  readonly sysctl: Strings;
  readonly maskedPaths: readonly string[];
  readonly readonlyPaths: readonly string[];
  readonly mountLabel?: string;
  readonly intelRdt?: IntelRdt;
  readonly memoryPolicy?: MemoryPolicy;
  readonly personality?: { readonly domain: "LINUX" | "LINUX32" };
}

/** The whole of config.json. */
export interface Spec {
  readonly ociVersion: string;
  readonly process: Process;
  /** `path` may be relative to the bundle */
  readonly root: { readonly path: string; readonly readonly: boolean };
  readonly hostname?: string;
  readonly domainname?: string;
  readonly mounts: readonly Mount[];
  readonly hooks: Hooks;
  readonly annotations: Strings;
  readonly linux: Linux;
}
