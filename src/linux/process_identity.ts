/** A process by more than its number, which another one gets when it is gone. */
import { isErrno } from "../ffi/call.ts";
import { close, POLLIN, poll } from "./fd.ts";
import { bootId, livingSince, processStartTime } from "./proc.ts";
import { pidfdOpen, pidfdSendSignal, SIGNALS } from "./process.ts";

/** A process, and not another one that gets its number later. */
export interface ProcessIdentity {
  readonly pid: number;
  /** clock ticks since boot */
  readonly startTime: number;
  readonly bootId: string;
}

/** A process as it will be known by; undefined when there is none. */
export function identify(pid: number): ProcessIdentity | undefined {
  const startTime = processStartTime(pid);
  return startTime === undefined ? undefined : { pid, startTime, bootId: bootId() };
}

/**
 * SIGKILL to this process, and to no other one that has its number by now.
 * @param patience how long to wait for its end, in milliseconds
 */
export function killProcess(identity: ProcessIdentity, patience: number): void {
  const pidfd = openProcess(identity);
  if (pidfd === undefined) return;
  try {
    pidfdSendSignal(pidfd, SIGNALS.SIGKILL);
    poll([{ fd: pidfd, events: POLLIN, revents: 0 }], patience);
  } catch (error) {
    if (!isErrno(error, "ESRCH")) throw error;
  } finally {
    close(pidfd);
  }
}

/** A pidfd of this process; undefined when it is gone, whoever has its number by now. */
export function openProcess(identity: ProcessIdentity): number | undefined {
  if (identity.bootId !== bootId()) return undefined;
  try {
    const pidfd = pidfdOpen(identity.pid);
    // The descriptor is of whoever has the number now; only then is it worth comparing.
    if (processStartTime(identity.pid) === identity.startTime) return pidfd;
    close(pidfd);
  } catch (error) {
    if (!isErrno(error, "ESRCH")) throw error;
  }
  return undefined;
}

/** Whether this process runs: one that has ended but has not been waited for does not. */
export function isAlive(identity: ProcessIdentity): boolean {
  return identity.bootId === bootId() && livingSince(identity.pid) === identity.startTime;
}
