/** Resource limits (setrlimit(2), asm-generic/resource.h). */
import { isErrno } from "../ffi/call.ts";
import { getrlimit, setrlimit } from "../linux/process.ts";
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

/**
 * Makes room for limits above our own hard ones, which takes CAP_SYS_RESOURCE: before privileges
 * are dropped. What init itself may have does not change.
 * @throws {Error} when it may not
 */
export function raiseRlimits(limits: readonly Rlimit[]): void {
  for (const { type, hard } of limits) {
    const own = getrlimit(RLIMITS[type] as number);
    const wanted = kernelValue(hard);
    if (wanted <= own.hard) continue;
    try {
      setrlimit(RLIMITS[type] as number, own.soft, wanted, type);
    } catch (error) {
      if (!isErrno(error, "EPERM")) throw error;
      throw new Error(
        `cannot set ${type} to ${say(wanted)}: operation not permitted: mydocker itself may have no more than ${say(own.hard)}, and lacks CAP_SYS_RESOURCE to raise it`,
        { cause: error },
      );
    }
  }
}

/** Sets the limits: just before execve(2), because descriptors and memory of init come under them too. */
export function applyRlimits(limits: readonly Rlimit[]): void {
  for (const { type, soft, hard } of limits) {
    setrlimit(RLIMITS[type] as number, kernelValue(soft), kernelValue(hard), type);
  }
}

function kernelValue(value: number): bigint {
  return value < 0 || value >= 2 ** 63 ? RLIM_INFINITY : BigInt(value);
}

const say = (value: bigint): string => (value === RLIM_INFINITY ? "unlimited" : String(value));

/** What says of a failed call that no descriptor was left: the fault is not with what the call names. */
export function explainOpenFiles(error: unknown): string | undefined {
  for (let at = error; at instanceof Error; at = at.cause) {
    if (!isErrno(at, "EMFILE")) continue;
    const { soft } = getrlimit(RLIMITS["RLIMIT_NOFILE"] as number);
    return `too many open files: the limit is ${say(soft)} (ulimit -n), which is too low to start a container with`;
  }
  return undefined;
}
