/**
 * What can be limited: `linux.resources` of the OCI runtime specification 1.3 (config-linux.md,
 * "Control groups").
 *
 * In `memory` and `cpu` an absent field and 0 both mean "leave as it is", -1 means "no limit":
 * that is how runc reads them. `pids.limit` 0 is a limit of 0 (Docker's `--pids-limit 0`, which
 * means none, is for the caller to turn into -1).
 */

/** `memory`. */
export interface MemoryResources {
  /** bytes */
  readonly limit?: number;
  /** bytes; the soft limit */
  readonly reservation?: number;
  /** bytes of memory **and** swap together, on both versions */
  readonly swap?: number;
  /** 0–100; v1 only */
  readonly swappiness?: number;
  /** v1 only */
  readonly disableOOMKiller?: boolean;
  /** bytes; ignored with a warning: Linux 5.4 made it obsolete */
  readonly kernel?: number;
  /** bytes; ignored with a warning */
  readonly kernelTCP?: number;
  /** Refuse a limit below what is in use, before anything is written. */
  readonly checkBeforeUpdate?: boolean;
}

/** `cpu`. */
export interface CpuResources {
  /** 2–262144, relative to others */
  readonly shares?: number;
  /** microseconds in each period */
  readonly quota?: number;
  /** microseconds, 1000–1000000 */
  readonly period?: number;
  /** microseconds that may be saved up beyond the quota */
  readonly burst?: number;
  /** microseconds; v1 only */
  readonly realtimeRuntime?: number;
  /** microseconds; v1 only */
  readonly realtimePeriod?: number;
  /** a list such as `0-2,4` */
  readonly cpus?: string;
  /** a list of memory nodes */
  readonly mems?: string;
  /** 1: SCHED_IDLE for the whole group */
  readonly idle?: number;
}

/** A block device by number. */
export interface DeviceId {
  readonly major: number;
  readonly minor: number;
}

/** A share of one device's time. */
export interface WeightDevice extends DeviceId {
  readonly weight?: number;
  /** v1 with CFQ only */
  readonly leafWeight?: number;
}

/** A limit for one device. */
export interface ThrottleDevice extends DeviceId {
  /** bytes or operations a second; 0 takes the limit away */
  readonly rate: number;
}

/** `blockIO`. */
export interface BlockIoResources {
  /** 10–1000 */
  readonly weight?: number;
  /** v1 with CFQ only */
  readonly leafWeight?: number;
  readonly weightDevice?: readonly WeightDevice[];
  readonly throttleReadBpsDevice?: readonly ThrottleDevice[];
  readonly throttleWriteBpsDevice?: readonly ThrottleDevice[];
  readonly throttleReadIOPSDevice?: readonly ThrottleDevice[];
  readonly throttleWriteIOPSDevice?: readonly ThrottleDevice[];
}

/** One of `hugepageLimits`. */
export interface HugepageLimit {
  /** as the kernel names it: `2MB`, `1GB` */
  readonly pageSize: string;
  /** bytes */
  readonly limit: number;
}

/** One of `devices`; the last rule that matches decides, for each kind of access by itself. */
export interface DeviceRule {
  readonly allow: boolean;
  /** block, character, or all; absent: all */
  readonly type?: "a" | "b" | "c";
  /** absent and -1: every one */
  readonly major?: number;
  readonly minor?: number;
  /** of `r`, `w` and `m` (mknod); absent: all three */
  readonly access?: string;
}

/** `network`; v1 only. */
export interface NetworkResources {
  /** marks packets, for tc(8) and iptables(8) */
  readonly classID?: number;
  /** of packets, by network interface */
  readonly priorities?: readonly { readonly name: string; readonly priority: number }[];
}

/** One of `rdma`, by the name of the device. */
export interface RdmaLimit {
  readonly hcaHandles?: number;
  readonly hcaObjects?: number;
}

/** `linux.resources`. */
export interface Resources {
  /** Absent and empty: what the parent cgroup allows. */
  readonly devices?: readonly DeviceRule[];
  readonly memory?: MemoryResources;
  readonly cpu?: CpuResources;
  readonly pids?: { readonly limit?: number };
  readonly blockIO?: BlockIoResources;
  readonly hugepageLimits?: readonly HugepageLimit[];
  readonly network?: NetworkResources;
  readonly rdma?: Readonly<Record<string, RdmaLimit>>;
  /** v2 only: file name to value, written as given, last. */
  readonly unified?: Readonly<Record<string, string>>;
}

/** The fields a write can come from, with the option of `run` that fills them (empty: none does). */
export const RESOURCE_FIELDS = {
  "memory.limit": "--memory",
  "memory.reservation": "--memory-reservation",
  "memory.swap": "--memory-swap",
  "memory.swappiness": "--memory-swappiness",
  "memory.disableOOMKiller": "--oom-kill-disable",
  "cpu.shares": "--cpu-shares",
  "cpu.quota": "--cpus or --cpu-quota",
  "cpu.period": "--cpus or --cpu-period",
  "cpu.burst": "",
  "cpu.idle": "",
  "cpu.realtimeRuntime": "--cpu-rt-runtime",
  "cpu.realtimePeriod": "--cpu-rt-period",
  "cpu.cpus": "--cpuset-cpus",
  "cpu.mems": "--cpuset-mems",
  "pids.limit": "--pids-limit",
  "blockIO.weight": "--blkio-weight",
  "blockIO.leafWeight": "",
  "blockIO.weightDevice": "--blkio-weight-device",
  "blockIO.throttleReadBpsDevice": "--device-read-bps",
  "blockIO.throttleWriteBpsDevice": "--device-write-bps",
  "blockIO.throttleReadIOPSDevice": "--device-read-iops",
  "blockIO.throttleWriteIOPSDevice": "--device-write-iops",
  hugepageLimits: "",
  devices: "",
  "network.classID": "",
  "network.priorities": "",
  rdma: "",
  unified: "",
} as const satisfies Record<string, string>;

/** A field that a write can come from. */
export type ResourceField = keyof typeof RESOURCE_FIELDS;
