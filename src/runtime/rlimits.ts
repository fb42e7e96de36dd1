/** Resource limits (setrlimit(2), asm-generic/resource.h). */
import { isErrno } from "../ffi/call.ts";
import { setrlimit } from "../linux/process.ts";
import type { Rlimit } from "./spec.ts";

/** Resource numbers by the OCI specification's names. */
export const RLIMITS: Readonly<Record<string, number>> = {
  RLIMIT_CPU: 0,
  RLIMIT_FSIZE: 1,
  RLIMIT_DATA: 2,
  RLIMIT_STACK: 3,
  RLIMIT_CORE: 4,
  RLIMIT_RSS: 5,
  RLIMIT_NPROC: 6,
  RLIMIT_NOFILE: 7,
  RLIMIT_MEMLOCK: 8,
  RLIMIT_AS: 9,
  RLIMIT_LOCKS: 10,
  RLIMIT_SIGPENDING: 11,
  RLIMIT_MSGQUEUE: 12,
  RLIMIT_NICE: 13,
  RLIMIT_RTPRIO: 14,
  RLIMIT_RTTIME: 15,
};

const RLIM_INFINITY = 0xffffffffffffffffn;

/** Sets a limit of the calling process. @throws {Error} above our own hard limit without CAP_SYS_RESOURCE */
export function applyRlimit({ type, soft, hard }: Rlimit): void {
  try {
    setrlimit(RLIMITS[type] as number, kernelValue(soft), kernelValue(hard), type);
  } catch (error) {
    if (!isErrno(error, "EPERM")) throw error;
    const why = "more than mydocker itself may have, and it lacks CAP_SYS_RESOURCE to raise it";
    throw new Error(`${error.message}: ${why}`, { cause: error });
  }
}

function kernelValue(value: number): bigint {
  return value < 0 || value >= 2 ** 63 ? RLIM_INFINITY : BigInt(value);
}
