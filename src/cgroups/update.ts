/** Changing the limits of a cgroup in which a container runs. */
import { SysError } from "../ffi/call.ts";
import type { CgroupWrite, ReadCurrent } from "./controller.ts";
import { reader, writeLimit } from "./directory.ts";
import { CgroupError } from "./error.ts";
import type { BeforeWrite, Cgroup } from "./manager.ts";
import type { Resources } from "./resources.ts";
import { type DeviceState, deviceWrites, parseDeviceList } from "./v1/devices.ts";

/**
 * Sets what `resources` names and leaves the rest as it is. When the kernel refuses one value, those
 * that were set before it are set back: the error is of the one, and nothing has changed. (A
 * hierarchy that the container was moved into for it stays, without limits.)
 * @param beforeWrite told what is about to be written, or set back
 * @throws {CgroupError} naming controller, file and value
 */
export function updateCgroup(
  cgroup: Cgroup,
  resources: Resources,
  beforeWrite?: BeforeWrite,
): void {
  const before: (() => void)[] = [];
  try {
    cgroup.apply(resources, (directory, writes) => {
      const read = reader(directory);
      if (writes[0]?.controller === "devices") {
        const old = parseDeviceList(read("devices.list"));
        before.push(() => restoreDevices(directory, old));
        return;
      }
      for (const write of writes) {
        const old = previousWrite(write, read);
        if (old === undefined) continue;
        before.push(() => {
          beforeWrite?.(directory, [old]);
          restore(directory, old);
        });
      }
      beforeWrite?.(directory, writes);
    });
  } catch (error) {
    for (const restoreOne of before.reverse()) restoreOne();
    throw error;
  }
}

/** What cannot be set back was not set either, or is gone; the first error is the one to tell. */
function restore(directory: string, write: CgroupWrite): void {
  try {
    writeLimit(directory, write);
  } catch (error) {
    if (!(error instanceof CgroupError || error instanceof SysError)) throw error;
  }
}

/** Device rules are a state that is reached by other writes than those that led away from it. */
function restoreDevices(directory: string, old: DeviceState | undefined): void {
  const now = parseDeviceList(reader(directory)("devices.list"));
  const everything = { allow: true, exceptions: new Map() };
  for (const write of deviceWrites(now, old ?? everything)) restore(directory, write);
}

/** Files with a line for each device or interface, and what takes a line away. */
const KEYED: readonly (readonly [file: RegExp, none: string])[] = [
  [/^blkio\.throttle\./, "0"],
  [/^blkio\..*weight_device$/, "0"],
  [/^io\.max$/, "rbps=max wbps=max riops=max wiops=max"],
  [/^io\.(bfq\.)?weight$/, "default"],
  [/^rdma\.max$/, "hca_handle=max hca_object=max"],
  [/^net_prio\.ifpriomap$/, "0"],
];

/** The write that undoes another one. @returns undefined for a file that cannot be read */
export function previousWrite(write: CgroupWrite, read: ReadCurrent): CgroupWrite | undefined {
  const text = read(write.file);
  if (text === undefined) return undefined;
  const { controller, file } = write;
  const old = (value: string): CgroupWrite => ({ controller, file, value });
  if (file === "memory.oom_control") return old(/oom_kill_disable (\d)/.exec(text)?.[1] ?? "0");
  const none = KEYED.find(([pattern]) => pattern.test(file))?.[1];
  // An empty list is written as an empty line: write(2) of nothing would be no write.
  if (none === undefined) return old(text === "" ? "\n" : text);
  const [key = ""] = write.value.split(" ");
  const lines = text.split("\n");
  if (!write.value.includes(" ")) {
    return old(lines.find((line) => line.startsWith("default ")) ?? text);
  }
  return old(lines.find((line) => line.startsWith(`${key} `)) ?? `${key} ${none}`);
}
