/** Which containers have which volumes, and what goes with them. */
import type { Paths } from "../paths.ts";
import { VolumeInUseError, VolumeStore } from "../volumes/store.ts";
import type { ContainerRecord } from "./container_record.ts";
import { ContainerStore } from "./container_store.ts";
import type { VolumeMount } from "./run_options.ts";
import { recordVolumeEvent } from "./volume_events.ts";

/** A volume that a container on record has. */
export type SettledVolume = VolumeMount & { readonly name: string };

/** The volumes of a container. */
export function volumesOf({ options }: Pick<ContainerRecord, "options">): SettledVolume[] {
  return options.mounts.flatMap((mount) =>
    mount.type === "volume" && mount.name !== undefined ? [{ ...mount, name: mount.name }] : [],
  );
}

/** Removes the volumes that are a removed container's own, unless another container has taken them. */
export function removeOwnVolumes(
  paths: Paths,
  id: string,
  record: Pick<ContainerRecord, "options">,
): void {
  const own = volumesOf(record).filter(({ anonymous }) => anonymous === true);
  if (own.length === 0) return;
  const store = new VolumeStore(paths.root);
  for (const { name } of own) {
    try {
      const isGone = store.remove(name, () => usersOf(paths, name, id), true);
      if (isGone) recordVolumeEvent(paths, "destroy", name);
    } catch (error) {
      if (!(error instanceof VolumeInUseError)) throw error;
    }
  }
}

/** The ids of the containers that have a volume, those included that are being made. @param except that one does not count */
export function usersOf(paths: Paths, volume: string, except?: string): string[] {
  return (volumeUsers(paths).get(volume) ?? []).filter((id) => id !== except);
}

/** The ids of the containers that have each volume. */
export function volumeUsers(paths: Paths): ReadonlyMap<string, readonly string[]> {
  const store = new ContainerStore(paths);
  const users = new Map<string, string[]>();
  for (const id of store.ids()) {
    const record = readable(() => store.read(id));
    if (record === undefined) continue;
    for (const { name } of volumesOf(record)) {
      const known = users.get(name);
      if (known === undefined) users.set(name, [id]);
      else if (!known.includes(id)) known.push(id);
    }
  }
  return users;
}

/** A damaged container keeps nothing: it cannot be started. */
function readable<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}
