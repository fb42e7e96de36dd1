/** Volumes of a new container: which it has, and how they are made and filled. */
import { MydockerError } from "../errors.ts";
import { close, O, open } from "../linux/fd.ts";
import type { Paths } from "../paths.ts";
import { mountPlainRoot } from "../runtime/mapped_root.ts";
import { waitFor } from "../runtime/watch.ts";
import { planLower } from "../storage/overlay.ts";
import { placeOf, type VolumePlace } from "../volumes/place.ts";
import { VolumeStore } from "../volumes/store.ts";
import { ANONYMOUS_LABEL, newVolumeName } from "../volumes/volume.ts";
import type { ContainerRecord } from "./container_record.ts";
import { ContainerStore } from "./container_store.ts";
import type { RootChoice } from "./root_choice.ts";
import type { MountRequest, RunOptions } from "./run_options.ts";
import { cleanPath, type ImageConfig } from "./spec_builder.ts";
import { attachPoint } from "./state_directories.ts";
import { recordVolumeEvent } from "./volume_events.ts";
import { volumesOf } from "./volume_users.ts";

/**
 * All mounts of a new container, its volumes by name: what it takes from others, what was asked for,
 * which goes before that, and what its image wants where nothing is mounted (moby:
 * daemon/volumes.go, registerMountPoints). Makes nothing.
 * @throws {MydockerError} when there is no such container to take them from
 */
export function settleMounts(
  paths: Paths,
  options: RunOptions,
  image: ImageConfig,
): readonly MountRequest[] {
  const mounts = new Map<string, MountRequest>();
  for (const { container, readonly } of options.volumesFrom ?? []) {
    for (const mount of mountsOf(paths, container)) {
      mounts.set(mount.target, readonly === true ? asReadonly(mount) : mount);
    }
  }
  for (const mount of options.mounts) mounts.set(mount.target, mount);
  for (const path of Object.keys(image.Volumes ?? {})) {
    const target = cleanPath(path);
    if (target === "/" || mounts.has(target)) continue;
    mounts.set(target, { type: "volume", target, readonly: false, origin: "image" });
  }
  return [...mounts.values()].map((mount) =>
    mount.type === "volume" && mount.name === undefined
      ? { ...mount, name: newVolumeName(), anonymous: true }
      : mount,
  );
}

/** What `--volumes-from` takes of a container: its volumes and binds, not what is in memory. */
function mountsOf(paths: Paths, reference: string): MountRequest[] {
  const store = new ContainerStore(paths);
  const record = store.read(store.resolve(reference));
  if (record === undefined) throw new MydockerError(`No such container: ${reference}`);
  return record.options.mounts.flatMap((mount): MountRequest[] => {
    if (mount.type === "tmpfs") return [];
    return [
      mount.type === "volume" ? { ...mount, nocopy: true, origin: "container" } : { ...mount },
    ];
  });
}

const asReadonly = (mount: MountRequest): MountRequest =>
  mount.type === "tmpfs" ? mount : { ...mount, readonly: true };

/**
 * Makes the volumes of a container that are not there yet, and fills the empty ones from its image.
 * Its record is written already: from then on none of them is removed.
 * @param durable they are to survive a power failure, filled as they are
 */
export function makeVolumes(
  paths: Paths,
  record: ContainerRecord,
  root: RootChoice,
  durable: boolean,
): void {
  const store = new VolumeStore(paths.root);
  using image = new DisposableStack();
  let rootFd: number | undefined;
  for (const { name, labels, anonymous, driverOptions, nocopy, subpath, target } of volumesOf(
    record,
  )) {
    const own = anonymous === true ? { [ANONYMOUS_LABEL]: "" } : {};
    const wanted = { name, labels: { ...labels, ...own }, options: driverOptions ?? {} };
    if (store.create(wanted)) recordVolumeEvent(paths, "create", name);
    if (nocopy === true || subpath !== undefined) continue;
    // A file system of its own is not there before it is mounted, and another directory not on ours.
    if (Object.keys(store.get(name)?.options ?? {}).length > 0) continue;
    if (rootFd === undefined) {
      rootFd = openRoot(paths, root.layers);
      image.adopt(rootFd, close);
    }
    store.fill(name, { root: rootFd, path: target }, durable || anonymous !== true);
  }
}

/** A descriptor of what an image shows as its root. */
export function openRoot(paths: Paths, layers: readonly string[]): number {
  const [only, ...others] = layers;
  if (only !== undefined && others.length === 0) return open(only, O.O_PATH | O.O_DIRECTORY);
  const root = {
    kind: "mount",
    type: "overlay",
    source: "overlay",
    flags: 0,
    data: planLower(layers),
  } as const;
  return waitFor(mountPlainRoot(root, attachPoint(paths)));
}

/** Where a container's volumes are, by where they are mounted in it. @throws {MydockerError} when one is gone */
export function volumePlaces(
  paths: Paths,
  record: ContainerRecord,
): ReadonlyMap<string, VolumePlace> {
  const store = new VolumeStore(paths.root);
  return new Map(
    volumesOf(record).map(({ name, target, subpath }) => {
      const volume = store.get(name);
      if (volume === undefined) {
        throw new MydockerError(`the volume ${name} of this container is missing`, {
          exitCode: 125,
          hint: `make it with \`mydocker volume create ${name}\``,
        });
      }
      const place = placeOf(volume, store.data(name));
      if (place.kind === "mount" && subpath !== undefined) {
        const what = `cannot mount ${subpath} of volume ${name}`;
        throw new MydockerError(
          `${what}: it is a ${place.type}, of which only all can be mounted`,
          {
            exitCode: 125,
          },
        );
      }
      return [target, place];
    }),
  );
}

/** Directories among {@link volumePlaces}. */
export function volumeDirectories(
  paths: Paths,
  record: ContainerRecord,
): ReadonlyMap<string, string> {
  return new Map(
    [...volumePlaces(paths, record)].flatMap(([target, place]) =>
      place.kind === "directory" ? [[target, place.path] as const] : [],
    ),
  );
}
