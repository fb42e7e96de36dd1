/** Handing controllers down on cgroup v2: Documentation/admin-guide/cgroup-v2.rst, "Enabling and Disabling". */
import { SysError } from "../../ffi/call.ts";
import { readFile, writeControl } from "../../linux/file.ts";
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
  if (missing.length === 0 || enable(directory, missing)) return;
  for (const name of missing) enable(directory, [name]);
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
