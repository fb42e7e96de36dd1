/** What proc(5) says of processes and of this boot. */
import { isErrno } from "../ffi/call.ts";
import { readFile } from "./file.ts";

/** When a process started, in clock ticks since boot (proc_pid_stat(5), field 22); undefined when there is none. */
export function processStartTime(pid: number): number | undefined {
  const fields = statFields(pid);
  return fields === undefined ? undefined : Number(fields[19]);
}

/** {@link processStartTime} of a process that has not ended: one that only has not been waited for has. */
export function livingSince(pid: number): number | undefined {
  const fields = statFields(pid);
  if (fields === undefined || fields[0] === "Z" || fields[0] === "X") return undefined;
  return Number(fields[19]);
}

/** A process's state (proc_pid_stat(5), field 3), such as `R`, `T` or `Z`; undefined when there is none. */
export const processState = (pid: number): string | undefined => statFields(pid)?.[0];

/** The fields from the third on. */
function statFields(pid: number): string[] | undefined {
  let stat: string;
  try {
    stat = readFile(`/proc/${pid}/stat`);
  } catch (error) {
    if (isErrno(error, "ENOENT", "ESRCH")) return undefined;
    throw error;
  }
  // The second field is the command's name in parentheses, and may hold both spaces and parentheses.
  return stat.slice(stat.lastIndexOf(")") + 2).split(" ");
}

/** A number that is another one after each boot (random(4)). */
export function bootId(): string {
  return readFile("/proc/sys/kernel/random/boot_id").trim();
}
