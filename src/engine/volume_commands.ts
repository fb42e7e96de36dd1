/** `volume create`, `ls`, `inspect` and `rm`. */
import type { MydockerError } from "../errors.ts";
import type { Paths } from "../paths.ts";
import { noSuchVolume, type VolumeRequest, VolumeStore } from "../volumes/store.ts";
import { ANONYMOUS_LABEL, newVolumeName, type Volume } from "../volumes/volume.ts";
import { recover } from "./recovery.ts";
import { recordVolumeEvent } from "./volume_events.ts";
import { usersOf, volumeUsers } from "./volume_users.ts";

/** A volume, and where its files are on the host. */
export interface PlacedVolume {
  readonly volume: Volume;
  readonly mountpoint: string;
}

/** With the ids of the containers that have it. */
export interface ListedVolume extends PlacedVolume {
  readonly users: readonly string[];
}

/**
 * Makes a volume; one of that name that is there is left as it is.
 * @param request without a name it gets one
 * @returns its name
 * @throws {MydockerError} for what no volume can be
 */
export function createVolume(paths: Paths, request: VolumeRequest): string {
  recover(paths);
  const isAnonymous = request.name === "";
  const name = isAnonymous ? newVolumeName() : request.name;
  const labels = isAnonymous ? { ...request.labels, [ANONYMOUS_LABEL]: "" } : request.labels;
  const made = { ...request, name, ...(labels === undefined ? {} : { labels }) };
  if (new VolumeStore(paths.root).create(made)) recordVolumeEvent(paths, "create", name);
  return name;
}

/** All volumes by name, and what is wrong with those that are damaged. */
export function listVolumes(paths: Paths): {
  readonly volumes: readonly ListedVolume[];
  readonly problems: readonly MydockerError[];
} {
  recover(paths);
  const store = new VolumeStore(paths.root);
  const users = volumeUsers(paths);
  const { volumes, problems } = store.list();
  return {
    volumes: volumes.map((volume) => ({
      volume,
      mountpoint: store.data(volume.name),
      users: users.get(volume.name) ?? [],
    })),
    problems,
  };
}

/** Looks a volume up. @throws {MydockerError} when there is none */
export function inspectVolume(paths: Paths, name: string): PlacedVolume {
  recover(paths);
  const store = new VolumeStore(paths.root);
  const volume = store.get(name);
  if (volume === undefined) throw noSuchVolume(name);
  return { volume, mountpoint: store.data(name) };
}

/**
 * Removes a volume that no container has.
 * @param force it may be missing, or damaged
 * @throws {MydockerError}
 */
export function removeVolume(paths: Paths, name: string, force: boolean): void {
  recover(paths);
  const store = new VolumeStore(paths.root);
  const isGone = store.remove(name, () => usersOf(paths, name), force);
  if (isGone) recordVolumeEvent(paths, "destroy", name);
}
