/** Cgroup failures in words: which controller, file and value, why, and what to do. */
import { MydockerError } from "../errors.ts";
import { isErrno, type SysError } from "../ffi/call.ts";
import { errnoText } from "../ffi/errno.ts";
import type { CgroupWrite, ReadCurrent } from "./controller.ts";
import { RESOURCE_FIELDS, type ResourceField } from "./resources.ts";

/** A cgroup operation that failed. Exit code 125: the container was not started. */
export class CgroupError extends MydockerError {
  readonly controller: string;
  readonly file?: string;
  readonly value?: string;

  constructor(
    message: string,
    about: { controller: string; file?: string; value?: string; cause?: unknown; hint?: string },
  ) {
    super(message, {
      exitCode: 125,
      cause: about.cause,
      ...(about.hint === undefined ? {} : { hint: about.hint }),
    });
    this.controller = about.controller;
    if (about.file !== undefined) this.file = about.file;
    if (about.value !== undefined) this.value = about.value;
  }
}

/** ` (asked for by --memory)`, or nothing. */
function askedBy(field: ResourceField | undefined): string {
  if (field === undefined) return "";
  return ` (asked for by ${RESOURCE_FIELDS[field] || `linux.resources.${field}`})`;
}

/** `cgroup memory: memory.limit_in_bytes = 1000: REASON (asked for by --memory)`. */
export function limitError(
  write: CgroupWrite,
  reason: string,
  more: { cause?: unknown; hint?: string } = {},
): CgroupError {
  const { controller, file, value, field } = write;
  return new CgroupError(`cgroup ${controller}: ${file} = ${value}: ${reason}${askedBy(field)}`, {
    controller,
    file,
    value,
    ...more,
  });
}

/** What a file that is missing from the kernel needs. First match counts. */
const FILE_NEEDS: readonly (readonly [RegExp, string])[] = [
  [/^memory\.(memsw|swap)\./, "swap accounting (CONFIG_SWAP; boot parameter swapaccount=1)"],
  [/^memory\.swappiness$/, "cgroup v1"],
  [/^cpu\.(cfs_burst_us|max\.burst)$/, "Linux 5.14 and CONFIG_CFS_BANDWIDTH"],
  [/^cpu\.(cfs_.*|max)$/, "CONFIG_CFS_BANDWIDTH"],
  [/^cpu\.idle$/, "Linux 5.15"],
  [/^cpu\.rt_/, "CONFIG_RT_GROUP_SCHED"],
  [/^blkio\.throttle\.|^io\.max$/, "CONFIG_BLK_DEV_THROTTLING"],
  [/^blkio\..*weight/, "the BFQ I/O scheduler (CONFIG_BFQ_GROUP_IOSCHED; modprobe bfq)"],
  [/^io\..*weight$/, "CONFIG_BLK_CGROUP_IOCOST or the BFQ I/O scheduler (modprobe bfq)"],
  [/^hugetlb\./, "huge pages of this size (see /sys/kernel/mm/hugepages)"],
];

/** What a controller that is missing needs. */
const CONTROLLER_NEEDS: Readonly<Record<string, string>> = {
  memory:
    "CONFIG_MEMCG, and on some boards the boot parameters cgroup_enable=memory cgroup_memory=1",
  cpu: "CONFIG_CGROUP_SCHED",
  cpuacct: "CONFIG_CGROUP_CPUACCT",
  cpuset: "CONFIG_CPUSETS",
  pids: "CONFIG_CGROUP_PIDS",
  blkio: "CONFIG_BLK_CGROUP",
  io: "CONFIG_BLK_CGROUP",
  hugetlb: "CONFIG_CGROUP_HUGETLB",
  freezer: "CONFIG_CGROUP_FREEZER",
  devices: "CONFIG_CGROUP_DEVICE",
  net_cls: "CONFIG_CGROUP_NET_CLASSID",
  net_prio: "CONFIG_CGROUP_NET_PRIO",
  rdma: "CONFIG_CGROUP_RDMA",
};

/** A limit whose controller this machine does not offer. */
export function missingController(write: CgroupWrite, where: string): CgroupError {
  const needs = CONTROLLER_NEEDS[write.controller];
  return limitError(write, `no such controller ${where}`, {
    hint: `the ${write.controller} controller has to be ${
      needs === undefined ? "" : `in the kernel (${needs}) and `
    }mounted or enabled there`,
  });
}

/** A limit of v2 whose controller the cgroup was not given by its parent. */
function notHandedDown(write: CgroupWrite, read: ReadCurrent, cause: SysError): CgroupError {
  const offered = read("../cgroup.controllers")?.split(" ") ?? [];
  if (offered.includes(write.controller) && read("../cgroup.procs"))
    return limitError(
      write,
      `the parent cgroup cannot hand down the ${write.controller} controller`,
      {
        cause,
        hint: "there are processes in the parent cgroup itself: move them into a child of it first",
      },
    );
  const needs = CONTROLLER_NEEDS[write.controller];
  return limitError(write, `no ${write.controller} controller in this cgroup v2 hierarchy`, {
    cause,
    hint: `it has to be enabled in every parent's cgroup.subtree_control${
      needs === undefined ? "" : `, and in the kernel (${needs})`
    }`,
  });
}

/** The kernel refused a write. `read` looks at the cgroup for the reason. */
export function refusedWrite(write: CgroupWrite, error: SysError, read: ReadCurrent): CgroupError {
  const plain = `${error.code}: ${errnoText(error.errno)}`;
  if (error.code === "ENOENT") {
    const enabled = read("cgroup.controllers");
    if (enabled !== undefined && !enabled.split(" ").includes(write.controller))
      return notHandedDown(write, read, error);
    const needs = FILE_NEEDS.find(([pattern]) => pattern.test(write.file))?.[1];
    return limitError(write, "the kernel has no such file", {
      cause: error,
      ...(needs === undefined ? {} : { hint: `it needs ${needs}` }),
    });
  }
  if (error.code === "EROFS")
    return limitError(write, plain, {
      cause: error,
      hint: "the cgroup file system is mounted read-only",
    });
  if (error.code === "EPERM" && write.controller === "devices")
    return limitError(write, "EPERM: the parent cgroup does not allow that much", {
      cause: error,
    });
  if (error.code === "EBUSY" && write.controller === "memory") {
    const usage = read("memory.usage_in_bytes") ?? read("memory.current");
    const now = usage === undefined ? "more" : `${usage} bytes`;
    return limitError(write, `EBUSY: the group already uses ${now}`, { cause: error });
  }
  if (error.code === "ENODEV" && (write.controller === "blkio" || write.controller === "io"))
    return limitError(write, "ENODEV: no such block device", {
      cause: error,
      hint: "limits are for whole disks, not for partitions",
    });
  if (error.code === "EACCES" && write.controller === "cpuset")
    return limitError(
      write,
      `EACCES: not all of it belongs to the parent cgroup, which has ${
        read(`../${write.file}`) ?? "less"
      }`,
      { cause: error },
    );
  if (error.code === "EINVAL" && write.field !== undefined)
    return limitError(write, `${plain}: the kernel does not take this value`, { cause: error });
  return limitError(write, plain, { cause: error });
}

/** mkdir of a cgroup failed. */
export function mkdirError(controller: string, directory: string, error: SysError): CgroupError {
  const about = { controller, cause: error };
  const text = errnoText(error.errno);
  const start = `cgroup ${controller}: mkdir ${directory}: ${error.code}: `;
  if (isErrno(error, "EAGAIN"))
    return new CgroupError(
      `${start}cgroup limit reached (cgroup.max.descendants or cgroup.max.depth)`,
      {
        ...about,
        hint: "raise it in a parent cgroup, or remove cgroups that are no longer used",
      },
    );
  if (isErrno(error, "ENOSPC"))
    return new CgroupError(
      `${start}cgroup limit reached (cgroup.max.descendants, or 65535 memory cgroups)`,
      {
        ...about,
        hint: "remove cgroups that are no longer used",
      },
    );
  if (isErrno(error, "EEXIST"))
    return new CgroupError(`${start}a cgroup of this name exists already`, about);
  if (isErrno(error, "EROFS", "EACCES", "EPERM"))
    return new CgroupError(`${start}${text}`, {
      ...about,
      hint: "the cgroup file systems have to be mounted writable, and this user has to own them",
    });
  return new CgroupError(`${start}${text}`, about);
}
