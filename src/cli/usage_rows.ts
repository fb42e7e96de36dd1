/** `system df`: what things take, in Docker's tables (docker/cli: command/formatter/disk_usage.go). */
import type { ContainerUsage, DiskUsage, ImageUsage, VolumeUsage } from "../engine/disk_usage.ts";
import { isUp } from "../engine/list.ts";
import { CONTAINER_HEADINGS, containerRow } from "./container_rows.ts";
import { formatRows } from "./format.ts";
import { humanTotal } from "./human.ts";
import { IMAGE_HEADINGS, imageRows } from "./image_rows.ts";
import { VOLUME_HEADINGS, volumeRow } from "./volume_rows.ts";

/** What the table calls each field. */
export const USAGE_HEADINGS = {
  Type: "TYPE",
  TotalCount: "TOTAL",
  Active: "ACTIVE",
  Size: "SIZE",
  Reclaimable: "RECLAIMABLE",
} as const;

/** The usual table. */
export const USAGE_FORMAT =
  "table {{.Type}}\t{{.TotalCount}}\t{{.Active}}\t{{.Size}}\t{{.Reclaimable}}";

/** One line of `system df`, by field. */
export type UsageRow = Readonly<Record<keyof typeof USAGE_HEADINGS, string>>;

/** A line for each kind of thing. */
export function usageRows({ images, layersSize, containers, volumes }: DiskUsage): UsageRow[] {
  const used = images.filter((each) => each.containers > 0);
  const own = sum(used, ({ size, shared }) => size - shared);
  const running = containers.filter(({ state }) => isUp(state));
  const linked = volumes.filter(({ users }) => users.length > 0);
  const [containersSize, volumesSize] = [sum(containers, sizeOf), sum(volumes, sizeOf)];
  return [
    row("Images", images, used, layersSize, layersSize - own),
    row("Containers", containers, running, containersSize, containersSize - sum(running, sizeOf)),
    row("Local Volumes", volumes, linked, volumesSize, volumesSize - sum(linked, sizeOf)),
    row("Build Cache", [], [], 0, 0),
  ];
}

const sizeOf = ({ size }: { readonly size: number }) => size;

function sum<T>(things: readonly T[], of: (thing: T) => number): number {
  return things.reduce((total, thing) => total + of(thing), 0);
}

function row(
  Type: string,
  all: readonly unknown[],
  active: readonly unknown[],
  size: number,
  reclaimable: number,
): UsageRow {
  const share = size > 0 ? ` (${Math.trunc((reclaimable * 100) / size)}%)` : "";
  return {
    Type,
    TotalCount: String(all.length),
    Active: String(active.length),
    Size: humanTotal(size),
    Reclaimable: `${humanTotal(reclaimable)}${share}`,
  };
}

/** Everything one by one, as a template sees it. @param whole ids and commands are not shortened */
export function usageDetails({ images, containers, volumes }: DiskUsage, whole: boolean) {
  const now = Date.now();
  return {
    Images: images.flatMap((image) => imageUsageRow(image, now, whole)),
    Containers: containers.map((container) => containerUsageRow(container, now, whole)),
    Volumes: volumes.map(volumeUsageRow),
    BuildCache: [],
  };
}

/** By its first name. */
function imageUsageRow(usage: ImageUsage, now: number, whole: boolean) {
  const [first] = imageRows(usage, { now, whole, digests: false });
  return first === undefined
    ? []
    : [
        {
          ...first,
          VirtualSize: humanTotal(usage.size),
          SharedSize: humanTotal(usage.shared),
          UniqueSize: humanTotal(usage.size - usage.shared),
          Containers: String(usage.containers),
        },
      ];
}

function containerUsageRow(usage: ContainerUsage, now: number, whole: boolean) {
  return containerRow(usage, { now, whole, size: { own: usage.size, all: 0 } });
}

function volumeUsageRow({ volume, mountpoint, users, size }: VolumeUsage) {
  const { Driver, Labels, Mountpoint, Name, Scope } = volumeRow(volume, mountpoint);
  const [Links, Size] = [String(users.length), humanTotal(size)];
  return { Driver, Labels, Links, Mountpoint, Name, Scope, Size };
}

const IMAGE_TABLE =
  "table {{.Repository}}\t{{.Tag}}\t{{.ID}}\t{{.CreatedSince}}\t{{.VirtualSize}}\t{{.SharedSize}}\t{{.UniqueSize}}\t{{.Containers}}";
const CONTAINER_TABLE =
  "table {{.ID}}\t{{.Image}}\t{{.Command}}\t{{.LocalVolumes}}\t{{.Size}}\t{{.RunningFor}}\t{{.Status}}\t{{.Names}}";
const VOLUME_TABLE = "table {{.Name}}\t{{.Links}}\t{{.Size}}";
const CACHE_HEADINGS = "CACHE ID   CACHE TYPE   SIZE      CREATED   LAST USED   USAGE     SHARED";

/** `system df -v`. */
export function usageTables(usage: DiskUsage): string {
  const { Images, Containers, Volumes } = usageDetails(usage, false);
  return [
    `Images space usage:\n\n${formatRows(IMAGE_TABLE, Images, IMAGE_HEADINGS)}`,
    `Containers space usage:\n\n${formatRows(CONTAINER_TABLE, Containers, CONTAINER_HEADINGS)}`,
    `Local Volumes space usage:\n\n${formatRows(VOLUME_TABLE, Volumes, VOLUME_HEADINGS)}`,
    `Build cache usage: 0B\n\n${CACHE_HEADINGS}\n`,
  ].join("\n");
}
