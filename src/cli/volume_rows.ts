/** Volumes as the fields that `volume ls` shows, and as `volume inspect` prints them. */
import type { Volume } from "../volumes/volume.ts";

/** What the table calls each field. */
export const VOLUME_HEADINGS = {
  Availability: "AVAILABILITY",
  Driver: "DRIVER",
  Group: "GROUP",
  Labels: "LABELS",
  Links: "LINKS",
  Mountpoint: "MOUNTPOINT",
  Name: "VOLUME NAME",
  Scope: "SCOPE",
  Size: "SIZE",
  Status: "STATUS",
} as const;

/** The usual table. */
export const VOLUME_FORMAT = "table {{.Driver}}\t{{.Name}}";

/** One line of `volume ls`, by field. */
export type VolumeRow = Readonly<Record<keyof typeof VOLUME_HEADINGS, string>>;

const NOT_ASKED = "N/A";

/** @param mountpoint where its files are on the host */
export function volumeRow({ name, labels }: Volume, mountpoint: string): VolumeRow {
  return {
    Availability: NOT_ASKED, // of volumes of a Swarm
    Driver: "local",
    Group: NOT_ASKED,
    Labels: Object.entries(labels)
      .map(([key, value]) => `${key}=${value}`)
      .join(","),
    Links: NOT_ASKED,
    Mountpoint: mountpoint,
    Name: name,
    Scope: "local",
    Size: NOT_ASKED,
    Status: NOT_ASKED,
  };
}

/** In Docker's shape (api/swagger.yaml, Volume). */
export function volumeShape(
  { name, created, labels, options }: Volume,
  mountpoint: string,
): Record<string, unknown> {
  return {
    CreatedAt: created.replace(/\.\d+Z$/, "Z"),
    Driver: "local",
    Labels: orNull(labels),
    Mountpoint: mountpoint,
    Name: name,
    Options: orNull(options),
    Scope: "local",
  };
}

const orNull = (map: Readonly<Record<string, string>>) =>
  Object.keys(map).length === 0 ? null : map;
