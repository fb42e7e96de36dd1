/**
 * Code is loaded when it first runs, 10 to 50 µs for each function. While init puts the container
 * together, on another processor, this process has nothing to do: so what will be needed once the
 * container runs, and when it is removed, runs once for nothing. docs/performance.md has the gain.
 */

import { eventLoopDescriptor } from "../ffi/event_loop.ts";
import { close, pipe, poll } from "../linux/fd.ts";
import { rmdirIfEmpty, unlinkIfExists } from "../linux/file.ts";
import { Pump } from "./pump.ts";

/** A name that nothing has: below a file there is nothing. */
const NOWHERE = "/dev/null/nothing";

/** Runs what comes later once, without an effect. */
export function warmUp(): void {
  eventLoopDescriptor();
  const [source, sink] = pipe();
  const pump = new Pump({ source, sink, closeSource: true, closeSink: false, sinkBlocks: false });
  poll([pump.interest()], 0);
  close(sink);
  pump.limitToWhatIsThere();
  pump.step();
  unlinkIfExists(NOWHERE);
  rmdirIfEmpty(NOWHERE);
}
