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
import { check } from "./call.ts";
import { numbersIn } from "./directory_entries.ts";
import { libc } from "./libc.ts";

const AT_FDCWD = -100;
const O_CLOEXEC = 0o2000000;
const O_DIRECTORY = process.arch === "arm64" ? 0o40000 : 0o200000;
const SYS_getdents64 = process.arch === "arm64" ? 61 : 217;
const POLLIN = 1;
/** How long Bun's handler may take to wake its loop, in milliseconds. */
const PATIENCE = 100;

let found: number | undefined | null = null;

/** The descriptor of Bun's event loop, or undefined if this Bun has none that can be told from others. */
export function eventLoopDescriptor(): number | undefined {
  if (found === null) {
    const candidates = descriptors().filter(isEpoll);
    found = candidates.length > 1 ? whichWakes(candidates) : candidates[0];
  }
  return found;
}

/** Numbers of our descriptors, those of the standard streams excepted. */
function descriptors(): number[] {
  const path = "/proc/self/fd";
  const args = () => ({ path });
  const opened = libc.openat(AT_FDCWD, cString(path), O_CLOEXEC | O_DIRECTORY, 0);
  const fd = check("open", args, opened);
  const buffer = new Uint8Array(16384); // for some six hundred, which are more than we are given
  const read = libc.getdents64(SYS_getdents64, fd, buffer, buffer.length);
  const length = check("getdents64", args, read);
  check("close", { fd }, libc.close(fd));
  return numbersIn(buffer, length).filter((each) => each > 2);
}

function isEpoll(fd: number): boolean {
  const buffer = new Uint8Array(64);
  const path = cString(`/proc/self/fd/${fd}`);
  const length = Number(libc.readlinkat(AT_FDCWD, path, buffer, buffer.length));
  return length > 0 && decodeBytes(buffer.subarray(0, length)) === "anon_inode:[eventpoll]";
}

/** The caller may have left us one of its own (in a descriptor without close-on-exec): Bun's is the one that a signal wakes. */
function whichWakes(candidates: readonly number[]): number | undefined {
  const quiet = candidates.filter((fd) => !becomesReady(fd, 0));
  const ignore = () => undefined;
  process.on("SIGURG", ignore);
  process.kill(process.pid, "SIGURG");
  const deadline = performance.now() + PATIENCE;
  let woken: number[];
  do woken = quiet.filter((fd) => becomesReady(fd, 1));
  while (woken.length === 0 && performance.now() < deadline);
  process.off("SIGURG", ignore);
  return woken.length === 1 ? woken[0] : undefined;
}

function becomesReady(fd: number, timeout: number): boolean {
  const entry = new Int32Array([fd, POLLIN]); // struct pollfd: fd, then events and revents, 16 bits each
  return libc.poll(entry, 1, timeout) > 0;
}

/** Lets Bun's event loop run what is due: signal handlers, for instance. */
export function turnEventLoop(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
