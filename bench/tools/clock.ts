/** A clock that several processes agree on. */

import { dlopen, ptr } from "bun:ffi";

const CLOCK_MONOTONIC = 1;

/** What to add to this process's performance.now() to get CLOCK_MONOTONIC in milliseconds. */
export function monotonicOffset(): number {
  const { symbols } = dlopen("libc.so.6", {
    // int clock_gettime(clockid_t clockid, struct timespec *tp);
    clock_gettime: { args: ["i32", "ptr"], returns: "i32" },
  });
  const time = new BigInt64Array(2);
  symbols.clock_gettime(CLOCK_MONOTONIC, ptr(time));
  const now = performance.now();
  return Number(time[0]) * 1e3 + Number(time[1]) / 1e6 - now;
}
