/** clock_gettime(2): finer than Date, which knows milliseconds. */
import { check } from "../ffi/call.ts";
import { libc } from "../ffi/libc.ts";
import { defineStruct } from "../ffi/struct.ts";

const CLOCK_REALTIME = 0;
const timespec = defineStruct({ seconds: "i64", nanoseconds: "i64" });

/** A moment since 1970. */
export interface Moment {
  readonly seconds: number;
  /** below 1e9 */
  readonly nanoseconds: number;
}

/** What time it is. */
export function now(): Moment {
  const time = timespec.alloc();
  check("clock_gettime", () => ({}), libc.clock_gettime(CLOCK_REALTIME, time));
  return {
    seconds: timespec.get(time, "seconds"),
    nanoseconds: timespec.get(time, "nanoseconds"),
  };
}
