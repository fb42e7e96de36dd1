/** Handing controllers down on cgroup v2: Documentation/admin-guide/cgroup-v2.rst, "Enabling and Disabling". */
import { isErrno, SysError } from "../../ffi/call.ts";
import { errnoText } from "../../ffi/errno.ts";
import { readFile, writeControl } from "../../linux/file.ts";
import type { Controller } from "../controller.ts";
import { CgroupError } from "../error.ts";

/**
 * Lets the children of a cgroup have these controllers, as far as it has them itself.
 * @throws {CgroupError} when processes are in the way (no internal processes)
 */
export function enableControllers(directory: string, controllers: readonly Controller[]): void {
  const available = words(`${directory}/cgroup.controllers`);
  const enabled = words(`${directory}/cgroup.subtree_control`);
  const missing = controllers
    .map(({ name }) => name)
    .filter((name) => available.includes(name) && !enabled.includes(name));
  if (missing.length === 0) return;
  const value = missing.map((name) => `+${name}`).join(" ");
  try {
    writeControl(`${directory}/cgroup.subtree_control`, value);
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    const file = "cgroup.subtree_control";
    throw new CgroupError(
      `cgroup: ${directory}/${file} = ${value}: ${error.code}: ${errnoText(error.errno)}`,
      {
        controller: missing[0] as string,
        file,
        value,
        cause: error,
        ...(isErrno(error, "EBUSY")
          ? { hint: "there are processes in this cgroup itself: move them into a child first" }
          : {}),
      },
    );
  }
}

const words = (path: string): string[] => readFile(path).trim().split(" ");
