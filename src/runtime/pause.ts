/** `pause` and `resume` of the OCI runtime. */
import { openRecord } from "../cgroups/record.ts";
import { MydockerError } from "../errors.ts";
import { statusOf } from "./state.ts";
import type { RuntimeStore } from "./store.ts";

/** Stops every process. @throws {MydockerError} when it does not run */
export function pauseContainer(store: RuntimeStore, id: string): void {
  const record = store.read(id);
  const status = statusOf(store, record);
  if (status !== "running" && status !== "created") {
    throw new MydockerError(`cannot pause a container that is ${status}: container not running`);
  }
  openRecord(record.cgroup).freeze();
}

/** Lets every process go on. @throws {MydockerError} when it is not paused */
export function resumeContainer(store: RuntimeStore, id: string): void {
  const record = store.read(id);
  const status = statusOf(store, record);
  if (status !== "paused") {
    throw new MydockerError(`cannot resume a container that is ${status}: container not paused`);
  }
  openRecord(record.cgroup).thaw();
}
