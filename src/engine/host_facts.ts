/** What this machine has that a container's configuration depends on. */
import { capabilityNames } from "../capabilities/capabilities.ts";
import { readDirectory } from "../linux/directory.ts";
import { ifExists, lstat, readFile, S_IFBLK, S_IFCHR, S_IFDIR, S_IFMT } from "../linux/file.ts";
import { permittedCapabilities } from "../linux/process.ts";
import type { Device } from "../runtime/spec.ts";

/** The capabilities that this process holds. */
export function ownCapabilities(): string[] {
  return capabilityNames(permittedCapabilities());
}

/** The host's name, as the kernel has it. */
export function hostName(): string {
  return readFile("/proc/sys/kernel/hostname").trim();
}

/** How many processors this machine may have: one more than the highest number in sysfs. */
export function possibleProcessors(): number {
  const list = ifExists(() => readFile("/sys/devices/system/cpu/possible")) ?? "0";
  return Number(/(\d+)\s*$/.exec(list)?.[1] ?? 0) + 1;
}

/** Part of every container's own /dev, or none of a container's business. */
const NOT_PASSED = new Set([
  "pts",
  "shm",
  "mqueue",
  "fd",
  "console",
  "ptmx",
  ".lxc",
  ".lxd-mounts",
  ".udev",
]);

/** The device nodes in the host's /dev, for `--privileged`. */
export function hostDevices(directory = "/dev"): Device[] {
  return readDirectory(directory).flatMap((name): Device[] => {
    if (NOT_PASSED.has(name)) return [];
    const path = `${directory}/${name}`;
    const file = ifExists(() => lstat(path));
    if (file === undefined) return [];
    const kind = file.mode & S_IFMT;
    if (kind === S_IFDIR) return hostDevices(path);
    if (kind !== S_IFCHR && kind !== S_IFBLK) return [];
    return [
      {
        path,
        type: kind === S_IFCHR ? "c" : "b",
        major: file.rdevMajor,
        minor: file.rdevMinor,
        fileMode: file.mode & 0o777,
        uid: file.uid,
        gid: file.gid,
      },
    ];
  });
}
