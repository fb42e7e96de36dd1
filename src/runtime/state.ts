/** A container's state as the OCI runtime specification shows it (runtime.md, "State"). */
import { openRecord } from "../cgroups/record.ts";
import { close } from "../linux/fd.ts";
import { isAlive } from "../linux/process_identity.ts";
import type { ContainerRecord, RuntimeStore } from "./store.ts";

/** "paused" is no status of the specification's, but every runtime's. */
export type Status = "creating" | "created" | "running" | "paused" | "stopped";

/** What `state` and `list` print. */
export interface State {
  readonly ociVersion: string;
  readonly id: string;
  /** in the caller's pid namespace; 0 when it has ended */
  readonly pid: number;
  readonly status: Status;
  readonly bundle: string;
  readonly rootfs: string;
  /** RFC 3339 */
  readonly created: string;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly owner: string;
}

/** How a container is, as far as that can be seen now. */
export function statusOf(store: RuntimeStore, record: ContainerRecord): Status {
  if (record.init === undefined || record.creating === true) return "creating";
  if (!isAlive(record.init)) return "stopped";
  const waiting = store.connect(record.id);
  if (waiting !== undefined) {
    close(waiting); // it goes back to waiting
    return "created";
  }
  return openRecord(record.cgroup).frozen() ? "paused" : "running";
}

/** The state that clients are shown. */
export function stateOf(record: ContainerRecord, status: Status): State {
  const { ociVersion, id, bundle, rootfs, created, annotations, owner, init } = record;
  return {
    ociVersion,
    id,
    pid: status === "stopped" ? 0 : (init?.pid ?? 0),
    status,
    bundle,
    rootfs,
    created,
    ...(Object.keys(annotations).length === 0 ? {} : { annotations }),
    owner,
  };
}

/** The state that hooks are told on their standard input; without the pid, which is the reader's. */
export function hookState(record: ContainerRecord, status: Status): string {
  const { ociVersion, id, bundle, annotations } = record;
  return JSON.stringify({ ociVersion, id, status, bundle, annotations });
}
