/**
 * Waiting for descriptors and for signals at once, without a thread.
 *
 * Bun catches signals with handlers of its own, which wake its event loop; a poll(2) of ours would
 * sleep through one that arrives just before it. Bun's loop is an epoll instance, though, and an
 * epoll descriptor can itself be polled (epoll(7)): so we poll it along with our descriptors, and
 * give the loop a turn when it has something to do. Reading through the loop instead would need
 * Node's streams, which take longer to load than a container takes to start.
 */
import { cString, decodeBytes } from "./bytes.ts";
import { libc } from "./libc.ts";

const AT_FDCWD = -100;
/** Bun opens it when it starts: among the first descriptors. */
const SEARCHED = 16;

let found: number | undefined | null = null;

/** The descriptor of Bun's event loop, or undefined if this Bun has none that can be polled. */
export function eventLoopDescriptor(): number | undefined {
  if (found === null) found = search();
  return found;
}

function search(): number | undefined {
  const buffer = new Uint8Array(64);
  for (let fd = 3; fd < 3 + SEARCHED; fd++) {
    const path = cString(`/proc/self/fd/${fd}`);
    const length = Number(libc.readlinkat(AT_FDCWD, path, buffer, buffer.length));
    if (length > 0 && decodeBytes(buffer.subarray(0, length)) === "anon_inode:[eventpoll]")
      return fd;
  }
  return undefined;
}

/** Lets Bun's event loop run what is due: signal handlers, for instance. */
export function turnEventLoop(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
