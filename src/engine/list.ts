/** Containers as `ps` shows them. */
import { type CgroupLayout, readLayout } from "../cgroups/layout.ts";
import { openCgroup } from "../cgroups/manager.ts";
import { processStartTime } from "../linux/proc.ts";
import { manyTextsReader } from "../linux/text_files.ts";
import { openPorts, type PublishedPort, readNetworks } from "../network/state.ts";
import type { Paths } from "../paths.ts";
import type { ContainerRecord, ExitRecord } from "./container_record.ts";
import { ContainerStore, DamagedContainerError } from "./container_store.ts";
import { type Health, isChecked } from "./health.ts";
import { type EndedContainer, readEnded, stampOf, writeEnded } from "./list_cache.ts";
import { type OwnerRecord, ownedIds, readOwner } from "./ownership.ts";
import { recover } from "./recovery.ts";
import type { RunOptions } from "./run_options.ts";

/** What a container is doing. */
export type ContainerState =
  | { readonly status: "created" }
  | {
      readonly status: "running";
      readonly pid: number;
      /** RFC 3339 */
      readonly startedAt: string;
      /** absent for a container that has no health check */
      readonly health?: Health["Status"];
    }
  | {
      readonly status: "paused";
      readonly pid: number;
      readonly startedAt: string;
    }
  | { readonly status: "exited"; readonly exit: ExitRecord }
  /** It has ended, and is to be started again. */
  | { readonly status: "restarting"; readonly exit: ExitRecord }
  /** One of its files is damaged. */
  | { readonly status: "dead" };

/** What is listed of a container; of a damaged one all that is known. */
export interface ListedContainer
  extends Pick<
    ContainerRecord,
    "id" | "name" | "created" | "image" | "imageId" | "command" | "labels"
  > {
  readonly networks: readonly string[];
  readonly ports: readonly PublishedPort[];
  /** these two are unknown of a damaged one */
  readonly layers?: readonly string[];
  readonly options?: Pick<RunOptions, "mounts" | "exposed" | "ports">;
}

/** A container with its state at the moment of the look. */
export interface ContainerSummary {
  readonly record: ListedContainer;
  readonly state: ContainerState;
  /** What is damaged of it, a line each that names the file. */
  readonly problems: readonly string[];
}

/** The state that a container's files and its owner amount to. */
export function stateOf(
  owner: OwnerRecord | undefined,
  exit: ExitRecord | undefined,
): ContainerState {
  if (owner?.restarting !== undefined) return { status: "restarting", exit: owner.restarting };
  const running = owner?.process;
  // The start time tells a process from a stranger that got its number. One that has ended counts
  // as running until its end is on record: what it ended with is not known before.
  if (
    running !== undefined &&
    (exit === undefined || processStartTime(running.pid) === running.startTime)
  ) {
    return { status: "running", pid: running.pid, startedAt: running.startedAt };
  }
  return exit === undefined ? { status: "created" } : { status: "exited", exit };
}

/** A container that runs, or is paused. */
export function withPause(
  state: ContainerState,
  owner: OwnerRecord | undefined,
  layout: () => CgroupLayout = readLayout,
): ContainerState {
  if (state.status !== "running" || owner === undefined) return state;
  const isPaused = openCgroup(layout(), owner.cgroup).frozen();
  return isPaused ? { ...state, status: "paused" } : state;
}

/** One that runs, and how healthy it is. */
function withHealth(
  state: ContainerState,
  store: ContainerStore,
  { id, options }: ContainerRecord,
): ContainerState {
  if (state.status !== "running" || !isChecked(options.healthcheck)) return state;
  return { ...state, health: store.readHealth(id)?.Status ?? "starting" };
}

/** So many are read in another way, which has to be loaded. */
const MANY = 50;

/**
 * Containers, the newest first. One that is being made or removed is left out.
 * @param which those that may be up at most: the others are not looked at; `kept`: of many that have
 *   ended what the last such listing found, their options aside
 */
export function listContainers(
  paths: Paths,
  which: "all" | "up" | "kept" = "all",
): ContainerSummary[] {
  recover(paths);
  const stamp = which === "kept" ? stampOf(paths) : undefined; // before anything is looked at
  const owned = ownedIds(paths); // first: one that is started meanwhile has lost its record of an end
  const ids = which === "up" ? [...owned] : new ContainerStore(paths).ids();
  const look: Look = {
    paths,
    store:
      ids.length < MANY ? new ContainerStore(paths) : new ContainerStore(paths, manyTextsReader()),
    owned,
    layout: once(readLayout),
  };
  const ended = ids.length < MANY ? undefined : readEnded<ListedContainer>(paths, stamp);
  const found: ContainerSummary[] = [];
  for (const id of ids) {
    const known = owned.has(id) ? undefined : ended?.get(id);
    const summary = known === undefined ? summarize(look, id) : summaryOf(known);
    if (summary !== undefined) found.push(summary);
  }
  if (ids.length >= MANY && ended === undefined) {
    writeEnded(
      paths,
      stamp,
      found.flatMap((each) => endedOf(each, owned)),
    );
  }
  return found.sort((a, b) => (a.record.created < b.record.created ? 1 : -1));
}

const summaryOf = ({ record, exit }: EndedContainer<ListedContainer>): ContainerSummary => ({
  record,
  state: { status: "exited", exit },
  problems: [],
});

/** Nothing of one that is owned, or is not what it should be. */
function endedOf(
  { record, state, problems }: ContainerSummary,
  owned: ReadonlySet<string>,
): EndedContainer<ListedContainer>[] {
  if (state.status !== "exited" || problems.length > 0 || owned.has(record.id)) return [];
  const { mounts = [], exposed, ports } = record.options ?? {};
  const options = {
    mounts,
    ...(exposed === undefined ? {} : { exposed }),
    ...(ports === undefined ? {} : { ports }),
  };
  return [{ record: { ...record, options }, exit: state.exit }];
}

/** What one look at all containers shares. */
interface Look {
  readonly paths: Paths;
  readonly store: ContainerStore;
  readonly owned: ReadonlySet<string>;
  readonly layout: () => CgroupLayout;
}

function once<T>(make: () => T): () => T {
  let made: T | undefined;
  return () => {
    made ??= make();
    return made;
  };
}

/** @returns undefined for one that is being made or removed */
function summarize(look: Look, id: string): ContainerSummary | undefined {
  const { paths, store } = look;
  const problems: string[] = [];
  const read = <T>(reading: () => T): T | undefined => {
    try {
      return reading();
    } catch (error) {
      if (!(error instanceof DamagedContainerError)) throw error;
      problems.push(error.message);
      return undefined;
    }
  };
  const record = read(() => store.read(id));
  if (record === undefined && problems.length === 0) return undefined;
  const before = read(() => store.readExit(id));
  // Without a record of its end it may have been started since we looked for owners.
  const owner = look.owned.has(id) || before === undefined ? readOwner(paths, id) : undefined;
  // Or have ended since we looked for that.
  const exit = before ?? (owner === undefined ? read(() => store.readExit(id)) : undefined);
  const paused = withPause(stateOf(owner, exit), owner, look.layout);
  const state = record === undefined ? paused : withHealth(paused, store, record);
  return {
    record: record === undefined ? unreadable(store, id) : listed(paths, record, isUp(state)),
    state: problems.length > 0 && !isUp(state) ? { status: "dead" } : state,
    problems,
  };
}

/** Whether it counts as running: there are processes of it, or will be soon. */
export const isUp = ({ status }: ContainerState): boolean =>
  status === "running" || status === "paused" || status === "restarting";

function listed(paths: Paths, record: ContainerRecord, isRunning: boolean): ListedContainer {
  const { network, networks } = record.options;
  const state = isRunning ? readNetworks(paths, record.id) : undefined;
  const names = state?.endpoints ?? networks ?? [{ network }];
  // Its record is nobody else's: it was just read.
  return Object.assign(record, {
    networks: names.map((each) => each.network),
    ports: openPorts(state),
  });
}

function unreadable(store: ContainerStore, id: string): ListedContainer {
  return {
    id,
    name: store.nameOf(id) ?? "",
    created: store.changedAt(id),
    image: "",
    command: [],
    labels: {},
    networks: [],
    ports: [],
  };
}
