/** What cpuset's two versions share: the files `cpuset.cpus` and `cpuset.mems` and what may be in them. */
import type { CgroupWrite, ReadCurrent } from "./controller.ts";
import { missingFromList, parseCpuList } from "./cpu_list.ts";
import { limitError } from "./error.ts";
import type { Resources } from "./resources.ts";

/**
 * @param available the file that says what the parent can give. On v2 the kernel takes what it does
 *   not have and quietly uses the parent's whole set instead, so that is looked at before.
 */
export function planCpuset(
  { cpu }: Resources,
  current: ReadCurrent,
  available: { readonly cpus: string; readonly mems: string },
): CgroupWrite[] {
  const writes: CgroupWrite[] = [];
  for (const kind of ["cpus", "mems"] as const) {
    const value = cpu?.[kind];
    if (value === undefined || value === "") continue;
    const write: CgroupWrite = {
      controller: "cpuset",
      file: `cpuset.${kind}`,
      value,
      field: `cpu.${kind}`,
    };
    const asked = parseCpuList(value);
    if (asked === undefined) throw limitError(write, "not a list such as 0-2,4");
    const offered = current(available[kind]);
    const missing = missingFromList(asked, offered);
    if (missing.length > 0)
      throw limitError(write, `${missing.join(",")} not available: there is ${offered}`);
    writes.push(write);
  }
  return writes;
}
