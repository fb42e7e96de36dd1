/** Containers as `ps` shows them. */
import { processStartTime } from "../linux/proc.ts";
import type { Paths } from "../paths.ts";
import { type ContainerRecord, ContainerStore, type ExitRecord } from "./container_store.ts";
import { type OwnerRecord, readOwner } from "./ownership.ts";
import { recover } from "./recovery.ts";

/** What a container is doing. */
export type ContainerState =
  | { readonly status: "created" }
  | {
      readonly status: "running";
      readonly pid: number;
      /** RFC 3339 */
      readonly startedAt: string;
    }
  | { readonly status: "exited"; readonly exit: ExitRecord };

/** A container with its state at the moment of the look. */
export interface ContainerSummary {
  readonly record: ContainerRecord;
  readonly state: ContainerState;
}

/** The state that a container's files and its owner amount to. */
export function stateOf(
  owner: OwnerRecord | undefined,
  exit: ExitRecord | undefined,
): ContainerState {
  const running = owner?.process;
  // The start time tells a process from a stranger that got its number.
  if (running !== undefined && processStartTime(running.pid) === running.startTime) {
    return { status: "running", pid: running.pid, startedAt: running.startedAt };
  }
  return exit === undefined ? { status: "created" } : { status: "exited", exit };
}

/** All containers, the newest first. One that is being made or removed is left out. */
export function listContainers(paths: Paths): ContainerSummary[] {
  recover(paths, { thorough: true });
  const store = new ContainerStore(paths);
  return store
    .ids()
    .flatMap((id): ContainerSummary[] => {
      const record = store.read(id);
      if (record === undefined) return [];
      return [{ record, state: stateOf(readOwner(paths, id), store.readExit(id)) }];
    })
    .sort((a, b) => (a.record.created < b.record.created ? 1 : -1));
}
