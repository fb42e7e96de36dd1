/** Huge pages: the same on both versions but for the names of the files. */
import type { CgroupWrite, ReadCurrent } from "./controller.ts";
import { limitError } from "./error.ts";
import type { Resources } from "./resources.ts";

/** @param suffix of the file with the limit: `limit_in_bytes` or `max` */
export function planHugetlb(
  { hugepageLimits = [] }: Resources,
  current: ReadCurrent,
  suffix: string,
): CgroupWrite[] {
  const writes: CgroupWrite[] = [];
  for (const { pageSize, limit } of hugepageLimits) {
    const write = (file: string): CgroupWrite => ({
      controller: "hugetlb",
      file,
      value: String(limit),
      field: "hugepageLimits",
    });
    const file = `hugetlb.${pageSize}.${suffix}`;
    if (!/^[1-9][0-9]*(KB|MB|GB)$/.test(pageSize))
      throw limitError(write(file), "not a size such as 2MB");
    writes.push(write(file));
    // Reservations count too where the kernel can (Linux 5.7): else mmap succeeds and the access is killed.
    const reserved = `hugetlb.${pageSize}.rsvd.${suffix}`;
    if (current(reserved) !== undefined) writes.push(write(reserved));
  }
  return writes;
}
