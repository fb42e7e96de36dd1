/**
 * What may be mounted on /proc, and in it. What the kernel shows there is what protects the host
 * and tells of it, so nothing may stand in its place but another procfs (CVE-2019-16884). By the
 * target's descriptor: however a path got there, through links of the image too, it counts.
 */
import { fileSystemMagicOf, PROC_SUPER_MAGIC } from "../linux/mount.ts";
import { RootfsError } from "./rootfs_error.ts";

/** Files that say how much of the machine there is, for which lxcfs has others. */
export const REPLACEABLE_IN_PROC: ReadonlySet<string> = new Set([
  "/proc/cpuinfo",
  "/proc/diskstats",
  "/proc/meminfo",
  "/proc/stat",
  "/proc/swaps",
  "/proc/uptime",
  "/proc/loadavg",
  "/proc/slabinfo",
  "/proc/net/dev",
]);

/**
 * @param fd what is going to be mounted on
 * @param source the tree that is going to be mounted, if there is one yet
 * @throws {RootfsError} when it must not be
 */
export function guardProc(fd: number, target: string, source?: () => number): void {
  const onProc = fileSystemMagicOf(fd) === PROC_SUPER_MAGIC;
  const isProc = /^\/+proc\/*$/.test(target);
  if (!onProc && !isProc) return;
  if (isProc) {
    if (source !== undefined && fileSystemMagicOf(source()) === PROC_SUPER_MAGIC) return;
    throw new RootfsError("/proc cannot be mounted because it is not of type proc");
  }
  if (REPLACEABLE_IN_PROC.has(target)) return;
  throw new RootfsError(`${target} cannot be mounted because it is inside /proc`);
}
