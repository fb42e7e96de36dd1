/** What happens to volumes, for `events`. */
import type { Paths } from "../paths.ts";
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
