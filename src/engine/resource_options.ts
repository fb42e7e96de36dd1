/** Limits of the command line as config.json's `linux.resources`. */
import type { Resources } from "../cgroups/resources.ts";
import type { ResourceRequest } from "./run_options.ts";

/** What `--cpus` is counted in, microseconds: the kernel's default period. */
const PERIOD = 100_000;

/**
 * Pure; what is absent is not limited. As Docker, memory alone allows the same amount of swap, on a
 * kernel that counts it.
 */
export function toResources(request: ResourceRequest, countsSwap: () => boolean): Resources {
  const memory = {
    ...(request.memory === undefined ? {} : { limit: request.memory }),
    ...swapOf(request, countsSwap),
    ...(request.memoryReservation === undefined ? {} : { reservation: request.memoryReservation }),
  };
  const cpu = {
    ...(request.cpuShares === undefined ? {} : { shares: request.cpuShares }),
    ...(request.cpuQuota === undefined ? {} : { quota: request.cpuQuota }),
    ...(request.cpuPeriod === undefined ? {} : { period: request.cpuPeriod }),
    ...(request.cpus === undefined
      ? {}
      : { quota: Math.round(request.cpus * PERIOD), period: PERIOD }),
    ...(request.cpusetCpus === undefined ? {} : { cpus: request.cpusetCpus }),
    ...(request.cpusetMems === undefined ? {} : { mems: request.cpusetMems }),
  };
  return {
    ...(Object.keys(memory).length === 0 ? {} : { memory }),
    ...(Object.keys(cpu).length === 0 ? {} : { cpu }),
    ...(request.pidsLimit === undefined ? {} : { pids: { limit: request.pidsLimit } }),
  };
}

function swapOf(
  { memory, memorySwap }: ResourceRequest,
  countsSwap: () => boolean,
): { swap?: number } {
  if (memorySwap !== undefined && memorySwap !== 0) return { swap: memorySwap };
  return memory === undefined || memory <= 0 || !countsSwap() ? {} : { swap: memory * 2 };
}
