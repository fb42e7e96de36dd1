/** What happens to volumes, for `events`. */
import type { Paths } from "../paths.ts";
import type { ContainerRecord } from "./container_record.ts";
import { recordEvent } from "./events.ts";

/** A volume was made, or is gone. */
export function recordVolumeEvent(
  paths: Pick<Paths, "root">,
  action: "create" | "destroy",
  name: string,
): void {
  recordEvent(paths, "volume", action, name, { driver: "local" });
}

/** What nobody used of a kind is gone. @param reclaimed bytes */
export function recordPruneEvent(
  paths: Pick<Paths, "root">,
  kind: "container" | "image" | "volume",
  reclaimed: number,
): void {
  recordEvent(paths, kind, "prune", "", { reclaimed: String(reclaimed) });
}

/** A container has its volumes now, or no longer. */
export function recordVolumeUse(
  paths: Pick<Paths, "root">,
  { id: container, options }: Pick<ContainerRecord, "id" | "options">,
  action: "mount" | "unmount",
): void {
  for (const mount of options.mounts) {
    if (mount.type !== "volume") continue;
    const { name = "", target: destination, readonly } = mount;
    const how =
      action === "mount"
        ? { container, destination, driver: "local", propagation: "" }
        : { container, driver: "local" };
    const access = action === "mount" ? { "read/write": String(!readonly) } : {};
    recordEvent(paths, "volume", action, name, { ...how, ...access });
  }
}
