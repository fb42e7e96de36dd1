/** Limits of the command line as config.json's `linux.resources`. */
import type { DeviceId, Resources } from "../cgroups/resources.ts";
import { MydockerError } from "../errors.ts";
import { S_IFBLK, S_IFMT, statIfExists } from "../linux/file.ts";
import type { DeviceRate, ResourceRequest } from "./run_options.ts";

/** What `--cpus` is counted in, microseconds: the kernel's default period. */
const PERIOD = 100_000;

/**
 * What is absent is not limited. As Docker, memory alone allows the same amount of swap, on a
 * kernel that counts it.
 */
export function toResources(request: ResourceRequest, countsSwap: () => boolean): Resources {
  const memory = {
    ...(request.memory === undefined ? {} : { limit: request.memory }),
    ...swapOf(request, countsSwap),
    ...(request.memoryReservation === undefined ? {} : { reservation: request.memoryReservation }),
    ...(request.memorySwappiness === undefined ? {} : { swappiness: request.memorySwappiness }),
    ...(request.oomKillDisable === true ? { disableOOMKiller: true } : {}),
  };
  const cpu = {
    ...(request.cpuShares === undefined ? {} : { shares: request.cpuShares }),
    ...(request.cpuQuota === undefined ? {} : { quota: request.cpuQuota }),
    ...(request.cpuPeriod === undefined ? {} : { period: request.cpuPeriod }),
    ...(request.cpuRtRuntime === undefined ? {} : { realtimeRuntime: request.cpuRtRuntime }),
    ...(request.cpuRtPeriod === undefined ? {} : { realtimePeriod: request.cpuRtPeriod }),
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

/** Limits of block devices, by their numbers. @throws {MydockerError} for what is no block device */
export function toBlockIo(request: ResourceRequest): Pick<Resources, "blockIO"> {
  const throttle = (limits: readonly DeviceRate[] = []) =>
    limits.map(({ path, rate }) => ({ ...deviceId(path), rate }));
  const all = {
    throttleReadBpsDevice: throttle(request.deviceReadBps),
    throttleWriteBpsDevice: throttle(request.deviceWriteBps),
    throttleReadIOPSDevice: throttle(request.deviceReadIops),
    throttleWriteIOPSDevice: throttle(request.deviceWriteIops),
    weightDevice: (request.blkioWeightDevice ?? []).map(({ path, rate }) => ({
      ...deviceId(path),
      weight: rate,
    })),
  };
  const said = Object.entries(all).filter(([, limits]) => limits.length > 0);
  const weight = request.blkioWeight;
  if (said.length === 0 && weight === undefined) return {};
  return { blockIO: { ...Object.fromEntries(said), ...(weight === undefined ? {} : { weight }) } };
}

function deviceId(path: string): DeviceId {
  const found = statIfExists(path);
  if (found === undefined || (found.mode & S_IFMT) !== S_IFBLK) {
    const why = found === undefined ? "no such file or directory" : "it is no block device";
    throw new MydockerError(`cannot limit ${path}: ${why}`, { exitCode: 125 });
  }
  return { major: found.rdevMajor, minor: found.rdevMinor };
}

function swapOf(
  { memory, memorySwap }: ResourceRequest,
  countsSwap: () => boolean,
): { swap?: number } {
  if (memorySwap !== undefined && memorySwap !== 0) return { swap: memorySwap };
  return memory === undefined || memory <= 0 || !countsSwap() ? {} : { swap: memory * 2 };
}
