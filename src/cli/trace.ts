/** `--debug`: every kernel call on stderr. */
import { type CallRecord, describeCall, observeCalls } from "../ffi/call.ts";
import { errnoCode, errnoText } from "../ffi/errno.ts";
import { enableDebugLog, log } from "../log.ts";

/** From now on every kernel call is a line on stderr. */
export function traceCalls(): void {
  enableDebugLog();
  observeCalls((record) => log.debug(describeRecord(record)));
}

/** `mount overlay on /x (MS_NODEV) = 0`, or `… = EINVAL: invalid argument`. */
export function describeRecord({ syscall, args, result, errno }: CallRecord): string {
  const outcome = result < 0 ? `${errnoCode(errno)}: ${errnoText(errno)}` : String(result);
  return `${describeCall(syscall, args)} = ${outcome}`;
}
