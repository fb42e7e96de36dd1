/** Handing controllers down on cgroup v2: Documentation/admin-guide/cgroup-v2.rst, "Enabling and Disabling". */
import { SysError } from "../../ffi/call.ts";
import { readFile, statIfExists, writeControl } from "../../linux/file.ts";
import type { Controller } from "../controller.ts";

/**
 * Lets the children of a cgroup have these controllers, as far as it has them itself and can: not
 * when it holds processes (EBUSY, as in a container of another engine) or threads (EOPNOTSUPP).
 * What is missing then is an error only for a limit that needs it. Nothing is taken back later, when
 * other cgroups may count on it.
 */
export function enableControllers(directory: string, controllers: readonly Controller[]): void {
  const available = words(`${directory}/cgroup.controllers`);
  const enabled = words(`${directory}/cgroup.subtree_control`);
  const missing = controllers
    .map(({ name }) => name)
    .filter((name) => available.includes(name) && !enabled.includes(name));
  if (missing.length === 0 || holdsProcesses(directory) || enable(directory, missing)) return;
  for (const name of missing) enable(directory, [name]);
}

/**
 * Whether it has processes, and is not the root of all, which may have both. Then the kernel would
 * refuse some controllers only, and take the others as a wish for a threaded cgroup, in which no
 * container could be, and whose own unit would get none of the refused ones any more.
 */
function holdsProcesses(directory: string): boolean {
  const isRoot = statIfExists(`${directory}/cgroup.type`) === undefined;
  return !isRoot && readFile(`${directory}/cgroup.procs`) !== "";
}

function enable(directory: string, names: readonly string[]): boolean {
  try {
    const value = names.map((name) => `+${name}`).join(" ");
    writeControl(`${directory}/cgroup.subtree_control`, value);
    return true;
  } catch (error) {
    if (error instanceof SysError) return false;
    throw error;
  }
}

const words = (path: string): string[] => readFile(path).trim().split(" ").filter(Boolean);
