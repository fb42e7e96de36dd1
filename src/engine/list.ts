/** Containers as `ps` shows them. */
import { readLayout } from "../cgroups/layout.ts";
import { openCgroup } from "../cgroups/manager.ts";
import { processStartTime } from "../linux/proc.ts";
import { type PublishedPort, readNetworks } from "../network/state.ts";
import type { Paths } from "../paths.ts";
import type { ContainerRecord, ExitRecord } from "./container_record.ts";
import { ContainerStore, DamagedContainerError } from "./container_store.ts";
import { type Health, isChecked } from "./health.ts";
import { type OwnerRecord, readOwner } from "./ownership.ts";
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
  readonly options?: RunOptions;
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
export function withPause(state: ContainerState, owner: OwnerRecord | undefined): ContainerState {
  if (state.status !== "running" || owner === undefined) return state;
  const isPaused = openCgroup(readLayout(), owner.cgroup).frozen();
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

/** All containers, the newest first. One that is being made or removed is left out. */
export function listContainers(paths: Paths): ContainerSummary[] {
  recover(paths);
  const store = new ContainerStore(paths);
  return store
    .ids()
    .flatMap((id) => summarize(paths, store, id) ?? [])
    .sort((a, b) => (a.record.created < b.record.created ? 1 : -1));
}

/** @returns undefined for one that is being made or removed */
function summarize(paths: Paths, store: ContainerStore, id: string): ContainerSummary | undefined {
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
  const exit = read(() => store.readExit(id));
  const owner = readOwner(paths, id);
  const paused = withPause(stateOf(owner, exit), owner);
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
  return { ...record, networks: names.map((each) => each.network), ports: state?.ports ?? [] };
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
