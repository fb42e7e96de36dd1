/** `unified`: files of cgroup v2 written as given (OCI runtime specification, config-linux.md). */
import type { CgroupWrite } from "../controller.ts";
import { limitError } from "../error.ts";
import type { Resources } from "../resources.ts";

/** The writes of `unified`. @throws {CgroupError} for what is no file name of a cgroup */
export function planUnified({ unified = {} }: Resources): CgroupWrite[] {
  return Object.entries(unified).map(([file, value]) => {
    const controller = file.slice(0, Math.max(0, file.indexOf(".")));
    const write: CgroupWrite = { controller, file, value, field: "unified" };
    if (!/^[a-z_]+(\.[A-Za-z0-9_]+)+$/.test(file))
      throw limitError(write, "not the name of a cgroup file");
    return write;
  });
}
