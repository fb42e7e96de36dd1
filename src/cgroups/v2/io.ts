/** Block I/O on cgroup v2: Documentation/admin-guide/cgroup-v2.rst, "IO"; block/bfq-iosched.rst. */
import { type CgroupWrite, type Controller, isSet, type ReadCurrent } from "../controller.ts";
import { limitError } from "../error.ts";
import type { ResourceField, Resources } from "../resources.ts";

const write = (file: string, value: string, field: ResourceField): CgroupWrite => ({
  controller: "io",
  file: `io.${file}`,
  value,
  field,
});

/** v1's weight (10–1000) as v2's (1–10000), linearly, as runc does. BFQ has v1's range on both. */
export function weightToV2(weight: number): number {
  return 1 + Math.floor(((weight - 10) * 9999) / 990);
}

const THROTTLES = {
  throttleReadBpsDevice: "rbps",
  throttleWriteBpsDevice: "wbps",
  throttleReadIOPSDevice: "riops",
  throttleWriteIOPSDevice: "wiops",
} as const;

function plan({ blockIO }: Resources, current: ReadCurrent): CgroupWrite[] {
  if (blockIO === undefined) return [];
  const bfq = current("io.bfq.weight") !== undefined;
  const [file, convert] = bfq
    ? ["bfq.weight", String]
    : ["weight", (w: number) => String(weightToV2(w))];
  const writes: CgroupWrite[] = [];
  if (isSet(blockIO.weight)) writes.push(write(file, convert(blockIO.weight), "blockIO.weight"));
  if (isSet(blockIO.leafWeight))
    throw limitError(
      write("leaf_weight", String(blockIO.leafWeight), "blockIO.leafWeight"),
      "cgroup v2 has no such limit",
    );
  for (const { major, minor, weight } of blockIO.weightDevice ?? [])
    if (isSet(weight))
      writes.push(write(file, `${major}:${minor} ${convert(weight)}`, "blockIO.weightDevice"));
  for (const key of Object.keys(THROTTLES) as (keyof typeof THROTTLES)[])
    for (const { major, minor, rate } of blockIO[key] ?? [])
      writes.push(
        write(
          "max",
          `${major}:${minor} ${THROTTLES[key]}=${rate === 0 ? "max" : rate}`,
          `blockIO.${key}`,
        ),
      );
  return writes;
}

/** Block I/O, weights and throttles. */
export const io: Controller = { name: "io", always: false, plan };
