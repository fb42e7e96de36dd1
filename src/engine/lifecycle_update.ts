/** `update`: limits and restart policy of a container, whether it runs or not. */
import { countsSwap, readLayout } from "../cgroups/layout.ts";
import type { Cgroup } from "../cgroups/manager.ts";
import type { Resources } from "../cgroups/resources.ts";
import { updateCgroup } from "../cgroups/update.ts";
import { MydockerError } from "../errors.ts";
import type { Paths } from "../paths.ts";
import type { ContainerRecord } from "./container_record.ts";
import { recordContainerEvent } from "./events.ts";
import {
  type FoundContainer,
  findContainer,
  RunningProcess,
  recordOf,
} from "./lifecycle_process.ts";
import { awaitRemoval } from "./ownership.ts";
import { toBlockIo, toResources } from "./resource_options.ts";
import type { RestartPolicy } from "./restart_policy.ts";
import type { ResourceRequest } from "./run_options.ts";

/** What is to change; what is absent stays. */
export interface UpdateRequest {
  readonly resources: ResourceRequest;
  readonly restart?: RestartPolicy;
}

/**
 * Changes limits and restart policy, of the processes that run and on record: all or nothing.
 * @throws {MydockerError} when there is no such container, for what contradicts what it has, and for
 *   what the kernel refuses
 */
export function updateContainer(paths: Paths, reference: string, request: UpdateRequest): void {
  const found = findContainer(paths, reference);
  // Of everybody who would change or remove its record, one does.
  using _change = awaitRemoval(paths, found.id);
  const record = recordOf(found);
  try {
    update(found, record, request);
  } catch (cause) {
    if (!(cause instanceof MydockerError)) throw cause;
    const { hint } = cause;
    throw new MydockerError(`Cannot update container ${found.id}: ${cause.message}`, {
      cause,
      ...(hint === undefined ? {} : { hint }),
    });
  }
}

function update(found: FoundContainer, record: ContainerRecord, request: UpdateRequest): void {
  const { store, id } = found;
  const { options } = record;
  const { restart } = request;
  if (options.remove && restart !== undefined && restart.name !== "no") {
    throw new MydockerError(
      "Restart policy cannot be updated because AutoRemove is enabled for the container",
    );
  }
  const layout = readLayout();
  const resources = merge(options.resources, request.resources, countsSwap(layout));
  const updated = { ...options, resources, ...(restart === undefined ? {} : { restart }) };
  // First on record: what starts just now looks there when it has started.
  store.writeRecord({ ...record, options: updated });
  try {
    apply(found, changed(request.resources, resources, countsSwap(layout)));
  } catch (error) {
    store.writeRecord(record);
    throw error;
  }
  store.syncRecord(id);
  recordContainerEvent(found.paths, record, "update");
}

function apply(found: FoundContainer, resources: Resources): void {
  if (Object.keys(resources).length === 0) return;
  using process = RunningProcess.of(found);
  if (process === undefined) return;
  try {
    updateCgroup(process.cgroup, resources);
  } catch (error) {
    if (!process.awaitEnd(0)) throw error; // the next start takes them from the record
  }
}

/** Gives a container that runs all limits of its record. @throws {CgroupError} */
export function applyLimits(cgroup: Cgroup, resources: ResourceRequest): void {
  updateCgroup(
    cgroup,
    toResources(resources, () => countsSwap(readLayout())),
  );
}

/** The limits that a request changes, as the kernel is to have them: a sum that follows from memory alone, too. */
function changed(
  request: ResourceRequest,
  { memorySwap }: ResourceRequest,
  swapIsCounted: boolean,
): Resources {
  const sum = request.memory === undefined || memorySwap === undefined ? {} : { memorySwap };
  return { ...toResources({ ...sum, ...request }, () => swapIsCounted), ...toBlockIo(request) };
}

/**
 * What a container's limits are to be.
 * @throws {MydockerError} in Docker's words (moby: Container.UpdateContainer)
 */
export function merge(
  has: ResourceRequest,
  wants: ResourceRequest,
  swapIsCounted: boolean,
): ResourceRequest {
  refuseTwoMeasures(has, wants);
  const implied = swapIsCounted && has.memory !== undefined ? 2 * has.memory : undefined;
  const sum = has.memorySwap ?? implied;
  const { memory, memorySwap } = wants;
  if (memory !== undefined && memorySwap === undefined && sum !== undefined && sum >= 0) {
    if (memory > sum) {
      throw new MydockerError(
        "Memory limit should be smaller than already set memoryswap limit, update the memoryswap at the same time",
      );
    }
  }
  const merged = {
    ...has,
    ...(memory === undefined || sum === undefined ? {} : { memorySwap: sum }),
    ...wants,
  };
  checkMerged(merged);
  return merged;
}

/** `--cpus` is a quota and a period: one that has either cannot be given the other. */
function refuseTwoMeasures(has: ResourceRequest, wants: ResourceRequest): void {
  const refuse = (what: string, has: string): never => {
    throw new MydockerError(
      `Conflicting options: ${what} cannot be updated as ${has} has already been set`,
    );
  };
  if (wants.cpus !== undefined && has.cpuPeriod !== undefined) refuse("Nano CPUs", "CPU Period");
  if (wants.cpus !== undefined && has.cpuQuota !== undefined) refuse("Nano CPUs", "CPU Quota");
  if (wants.cpuPeriod !== undefined && has.cpus !== undefined) refuse("CPU Period", "NanoCPUs");
  if (wants.cpuQuota !== undefined && has.cpus !== undefined) refuse("CPU Quota", "NanoCPUs");
}

function checkMerged({ memory, memorySwap, memoryReservation }: ResourceRequest): void {
  if (memorySwap !== undefined && memorySwap > 0) {
    if (memory === undefined) {
      throw new MydockerError("You should always set the Memory limit when using Memoryswap limit");
    }
    if (memorySwap < memory) {
      throw new MydockerError("Minimum memoryswap limit should be larger than memory limit");
    }
  }
  if (memory !== undefined && memoryReservation !== undefined && memory < memoryReservation) {
    throw new MydockerError("Minimum memory limit can not be less than memory reservation limit");
  }
}
