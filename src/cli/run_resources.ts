/** The limits among the options of `run`, checked against each other in Docker's words. */
import type { ResourceRequest } from "../engine/run_options.ts";
import { UsageError } from "../errors.ts";
import { log } from "../log.ts";
import { defined } from "./defined.ts";

/** What the command line says of limits; 0 means that there is none. */
export interface LimitValues {
  readonly memory: number | undefined;
  readonly "memory-swap": number | undefined;
  readonly "memory-reservation": number | undefined;
  readonly cpus: number | undefined;
  readonly "cpu-shares": number | undefined;
  readonly "cpu-quota": number | undefined;
  readonly "cpu-period": number | undefined;
  readonly "cpuset-cpus": string | undefined;
  readonly "cpuset-mems": string | undefined;
  readonly "pids-limit": number | undefined;
  readonly "cpu-rt-period": number | undefined;
  readonly "cpu-rt-runtime": number | undefined;
  readonly "kernel-memory": number | undefined;
}

/** Below this a container's first process hardly starts. */
const LEAST_MEMORY = 6 * 1024 * 1024;

/**
 * @param hostCpus how many processors this process may use
 * @param options isChange: of a container that has limits already; how they go together is seen there
 */
export function composeResources(
  values: LimitValues,
  hostCpus: number,
  { isChange = false } = {},
): ResourceRequest {
  const limits = defined({
    memory: values.memory || undefined,
    memorySwap: values["memory-swap"] || undefined,
    memoryReservation: values["memory-reservation"] || undefined,
    cpus: values.cpus || undefined,
    cpuShares: values["cpu-shares"] || undefined,
    cpuQuota: values["cpu-quota"] || undefined,
    cpuPeriod: values["cpu-period"] || undefined,
    cpusetCpus: values["cpuset-cpus"],
    cpusetMems: values["cpuset-mems"],
    pidsLimit: values["pids-limit"] || undefined,
    cpuRtPeriod: values["cpu-rt-period"] || undefined,
    cpuRtRuntime: values["cpu-rt-runtime"] || undefined,
    kernelMemory: values["kernel-memory"] || undefined,
  });
  checkMemory(limits, isChange);
  checkKernelMemory(limits);
  checkCpu(limits, hostCpus);
  if (limits.pidsLimit !== undefined && limits.pidsLimit < -1)
    throw new UsageError(`invalid pids limit: ${limits.pidsLimit}: use -1 for no limit`);
  return limits;
}

function checkMemory(
  { memory, memorySwap, memoryReservation }: ResourceRequest,
  isChange: boolean,
): void {
  if (memory !== undefined && memory < LEAST_MEMORY)
    throw new UsageError("Minimum memory limit allowed is 6MB");
  if (memorySwap !== undefined && memorySwap !== -1 && !(isChange && memory === undefined)) {
    if (memory === undefined)
      throw new UsageError("You should always set the Memory limit when using Memoryswap limit");
    if (memorySwap < memory)
      throw new UsageError("Minimum memoryswap limit should be larger than memory limit");
  }
  if (memoryReservation === undefined) return;
  if (memoryReservation < LEAST_MEMORY)
    throw new UsageError("Minimum memory reservation allowed is 6MB");
  if (memory !== undefined && memory < memoryReservation)
    throw new UsageError("Minimum memory limit can not be less than memory reservation limit");
}

/** Linux 5.4 took the limit away that there was; Docker says so, too, and goes on. */
function checkKernelMemory({ kernelMemory }: ResourceRequest): void {
  if (kernelMemory === undefined) return;
  if (kernelMemory < LEAST_MEMORY)
    throw new UsageError("Minimum kernel memory limit allowed is 6MB");
  log.warn("--kernel-memory limits nothing: kernel memory counts towards --memory");
}

function checkRealtime({ cpuRtPeriod, cpuRtRuntime }: ResourceRequest): void {
  if (cpuRtPeriod !== undefined && cpuRtRuntime !== undefined && cpuRtRuntime > cpuRtPeriod)
    throw new UsageError("cpu real-time runtime cannot be higher than cpu real-time period");
}

function checkCpu(limits: ResourceRequest, host: number): void {
  const { cpus, cpuShares, cpuQuota, cpuPeriod } = limits;
  checkRealtime(limits);
  if (cpus !== undefined && (cpus < 0.01 || cpus > host))
    throw new UsageError(
      `Range of CPUs is from 0.01 to ${host}.00, as there are only ${host} CPUs available`,
    );
  if (cpuShares !== undefined && cpuShares < 0)
    throw new UsageError(`invalid CPU shares (${cpuShares}): value must be a positive integer`);
  if (cpuPeriod !== undefined && (cpuPeriod < 1000 || cpuPeriod > 1_000_000))
    throw new UsageError(
      "CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)",
    );
  if (cpuQuota !== undefined && cpuQuota !== -1 && cpuQuota < 1000)
    throw new UsageError("CPU cfs quota can not be less than 1ms (i.e. 1000)");
}
