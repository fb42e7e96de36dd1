/** What this machine has that a container's configuration depends on. */
import { capabilityNames } from "../capabilities/capabilities.ts";
import { SysError } from "../ffi/call.ts";
import { errnoText } from "../ffi/errno.ts";
import { readDirectory } from "../linux/directory.ts";
import {
  ifExists,
  lstat,
  readFile,
  S_IFBLK,
  S_IFCHR,
  S_IFDIR,
  S_IFMT,
  type Stat,
  stat,
} from "../linux/file.ts";
import { permittedCapabilities } from "../linux/process.ts";
import type { Device } from "../runtime/spec.ts";
import type { HostNodes } from "./device_options.ts";
import type { IdFiles } from "./id_range.ts";

/** The capabilities that this process holds. */
export function ownCapabilities(): string[] {
  return capabilityNames(permittedCapabilities());
}

/**
 * The oom_score_adj of a container that asks for none: 0, as Docker has it, whatever ours is. Without
 * CAP_SYS_RESOURCE a process cannot lower its own (proc_pid_oom_score_adj(5)).
 */
export function usualOomScoreAdj(capabilities: readonly string[]): number {
  if (capabilities.includes("CAP_SYS_RESOURCE")) return 0;
  return Math.max(0, Number(readFile("/proc/self/oom_score_adj")));
}

/** The host's name, as the kernel has it. */
export function hostName(): string {
  return readFile("/proc/sys/kernel/hostname").trim();
}

/** How many processors this machine may have: one more than the highest number in sysfs. */
export function possibleProcessors(): number {
  const list = ifExists(() => readFile("/sys/devices/system/cpu/possible")) ?? "0";
  const last = list.slice(Math.max(list.lastIndexOf("-"), list.lastIndexOf(",")) + 1);
  return Number(last) + 1;
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

/** The device nodes in a directory and below; links are passed over. */
function devicesIn(directory: string, left: ReadonlySet<string>): Device[] {
  return readDirectory(directory).flatMap((name): Device[] => {
    if (left.has(name)) return [];
    const path = `${directory}/${name}`;
    const file = ifExists(() => lstat(path));
    if (file === undefined) return [];
    if ((file.mode & S_IFMT) === S_IFDIR) return devicesIn(path, left);
    return toDevice(path, file);
  });
}

function toDevice(path: string, file: Stat): Device[] {
  const kind = file.mode & S_IFMT;
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
}

/** The device nodes of the host, for `--privileged` and `--device`. */
export const hostNodes: HostNodes = {
  all: () => devicesIn("/dev", NOT_PASSED),
  at(path) {
    try {
      const file = stat(path);
      if ((file.mode & S_IFMT) !== S_IFDIR) {
        const found = toDevice("", file);
        return found.length === 0 ? "not a device node" : found;
      }
      const found = devicesIn(path, new Set());
      if (found.length === 0) return "no device node in this directory";
      return found.map((node) => ({ ...node, path: node.path.slice(path.length) }));
    } catch (error) {
      if (!(error instanceof SysError)) throw error;
      return errnoText(error.errno);
    }
  },
};

/** The files that say whose ids are whose; empty if they are not there. */
export function idFiles(): IdFiles {
  const text = (name: string) => ifExists(() => readFile(`/etc/${name}`)) ?? "";
  return {
    subuid: text("subuid"),
    subgid: text("subgid"),
    passwd: text("passwd"),
    group: text("group"),
  };
}
