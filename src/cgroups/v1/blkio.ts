/** Block I/O on cgroup v1: Documentation/admin-guide/cgroup-v1/blkio-controller.rst, block/bfq-iosched.rst. */
import { type CgroupWrite, type Controller, isSet, type ReadCurrent } from "../controller.ts";
import type { ResourceField, Resources } from "../resources.ts";

const write = (file: string, value: string, field: ResourceField): CgroupWrite => ({
  controller: "blkio",
  file: `blkio.${file}`,
  value,
  field,
});

const THROTTLES = {
  throttleReadBpsDevice: "throttle.read_bps_device",
  throttleWriteBpsDevice: "throttle.write_bps_device",
  throttleReadIOPSDevice: "throttle.read_iops_device",
  throttleWriteIOPSDevice: "throttle.write_iops_device",
} as const;

function plan({ blockIO }: Resources, current: ReadCurrent): CgroupWrite[] {
  if (blockIO === undefined) return [];
  const writes: CgroupWrite[] = [];
  // CFQ's files went with Linux 5.0; BFQ has its own when it is loaded.
  const prefix = current("blkio.bfq.weight") === undefined ? "" : "bfq.";
  if (isSet(blockIO.weight))
    writes.push(write(`${prefix}weight`, String(blockIO.weight), "blockIO.weight"));
  if (isSet(blockIO.leafWeight))
    writes.push(write("leaf_weight", String(blockIO.leafWeight), "blockIO.leafWeight"));
  for (const { major, minor, weight, leafWeight } of blockIO.weightDevice ?? []) {
    const device = `${major}:${minor}`;
    if (isSet(weight))
      writes.push(write(`${prefix}weight_device`, `${device} ${weight}`, "blockIO.weightDevice"));
    if (isSet(leafWeight))
      writes.push(write("leaf_weight_device", `${device} ${leafWeight}`, "blockIO.weightDevice"));
  }
  for (const key of Object.keys(THROTTLES) as (keyof typeof THROTTLES)[])
    for (const { major, minor, rate } of blockIO[key] ?? [])
      writes.push(write(THROTTLES[key], `${major}:${minor} ${rate}`, `blockIO.${key}`));
  return writes;
}

/** Block I/O, weights and throttles. */
export const blkio: Controller = { name: "blkio", always: false, counts: true, plan };
