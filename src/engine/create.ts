/** Making a container: its id, its name, its record and its own layer on disk. */
import type { Paths } from "../paths.ts";
import { createUpperLayer } from "../storage/overlay.ts";
import { containerCgroup } from "./container_cgroup.ts";
import { generateName, isContainerId, newContainerId } from "./container_id.ts";
import type { ContainerRecord } from "./container_record.ts";
import { ContainerStore } from "./container_store.ts";
import { recordContainerEvent } from "./events.ts";
import { mergeHealthcheck } from "./health.ts";
import { claim, claimSilently, type Ownership } from "./ownership.ts";
import type { RootChoice } from "./root_choice.ts";
import type { RunOptions } from "./run_options.ts";
import { commandOf, type ImageConfig } from "./spec_builder.ts";
import { removeOwnVolumes } from "./volume_users.ts";

/** A container that exists and that we own. */
export interface CreatedContainer {
  readonly paths: Paths;
  readonly store: ContainerStore;
  readonly record: ContainerRecord;
  readonly root: RootChoice;
  readonly ownership: Ownership;
  /** Its end is on record, of the last time that it ran. */
  readonly ranBefore: boolean;
  /** Makes it survive a power failure: before anybody is told that it exists. */
  readonly sync?: () => void;
  /** Leaves the container in place when what it was made for ends. */
  keep(): void;
}

/**
 * Makes a container. What `undo` gives back: the container itself, unless it is kept, and that we
 * own it.
 * @param durable that it exists is to survive a power failure: `sync` is there to be called
 * @throws {MydockerError} for a name that is taken, a command that is missing
 */
export async function createContainer(
  paths: Paths,
  asked: RunOptions,
  root: RootChoice,
  undo: DisposableStack,
  durable = false,
): Promise<CreatedContainer> {
  const command = commandOf({ ...asked, args: root.args }, root.config);
  const volumes = hasVolumes(asked, root.config) ? await import("./volumes.ts") : undefined;
  const settled =
    volumes === undefined
      ? asked
      : { ...asked, mounts: volumes.settleMounts(paths, asked, root.config) };
  const options = withHealthcheck(settled, root.config);
  const id = newContainerId();
  const store = new ContainerStore(paths);
  const cgroup = containerCgroup(id, options.cgroupParent);
  // Until it runs, or is complete, it is not worth keeping: lifecycle.ts says otherwise then.
  const ownership = claim(paths, { id, remove: true, cgroup });
  undo.defer(() => ownership.release());
  let kept = false;
  let name: string | undefined;
  let made: ContainerRecord | undefined;
  undo.defer(() => {
    if (kept) return;
    const last = made === undefined ? undefined : store.current(made);
    removeOwnVolumes(paths, id, { options });
    // In the background it may be renamed meanwhile.
    store.remove(id, durable ? undefined : name);
    if (last !== undefined) recordContainerEvent(paths, last, "destroy");
  });
  name = claimName(paths, store, options.name, id);
  const directory = store.makeDirectory(id);
  const record: ContainerRecord = {
    id,
    name,
    created: new Date().toISOString(),
    image: root.name,
    ...(root.imageId === undefined ? {} : { imageId: root.imageId }),
    layers: root.layers,
    command,
    labels: { ...root.config.Labels, ...options.labels },
    options,
  };
  store.writeRecord(record);
  createUpperLayer(directory);
  volumes?.makeVolumes(paths, record, root, durable);
  made = record;
  recordContainerEvent(paths, record, "create");
  return {
    paths,
    store,
    record,
    root,
    ownership,
    ranBefore: false,
    ...(durable ? { sync: () => store.syncRecord(id) } : {}),
    keep: () => {
      kept = true;
    },
  };
}

function hasVolumes({ mounts, volumesFrom }: RunOptions, { Volumes }: ImageConfig): boolean {
  if (volumesFrom !== undefined || mounts.some(({ type }) => type === "volume")) return true;
  return Object.keys(Volumes ?? {}).length > 0;
}

/** What a container is not told its image says. */
function withHealthcheck(asked: RunOptions, { Healthcheck }: ImageConfig): RunOptions {
  const healthcheck = mergeHealthcheck(asked.healthcheck, Healthcheck ?? undefined);
  return healthcheck === asked.healthcheck
    ? asked
    : { ...asked, ...(healthcheck === undefined ? {} : { healthcheck }) };
}

/** What each line of its log has besides, if anything was asked for. */
export async function logAttributesOf(container: CreatedContainer): Promise<string | undefined> {
  const { attributes } = container.record.options.log ?? {};
  if (attributes === undefined) return undefined;
  const { logAttributes } = await import("./log_attributes.ts");
  return logAttributes(attributes, container.record, container.root.config.Env ?? []);
}

/** The name that was asked for, or a free one. */
function claimName(
  paths: Paths,
  store: ContainerStore,
  asked: string | undefined,
  id: string,
): string {
  if (asked !== undefined) {
    const holder = store.tryClaimName(asked, id);
    if (holder === undefined) return asked;
    freeStaleName(paths, store, asked, holder);
    store.claimName(asked, id);
    return asked;
  }
  for (let attempt = 1; ; attempt++) {
    const name = attempt < 10 ? generateName() : `${generateName()}${id.slice(0, 8)}`;
    if (store.tryClaimName(name, id) === undefined) return name;
  }
}

/** Gives back the name of a container of which there is nothing else: somebody removed its files by hand. */
function freeStaleName(paths: Paths, store: ContainerStore, name: string, holder: string): void {
  if (!isContainerId(holder)) {
    store.releaseName(name, holder);
    return;
  }
  if (store.hasFiles(holder)) return;
  // Whoever makes a container has its lock before its name.
  const lock = claimSilently(paths, holder, "");
  if (lock === undefined) return;
  if (!store.hasFiles(holder)) store.releaseName(name, holder);
  lock.abandon();
}
