/**
 * Forking a Bun process: the child goes on in JavaScript.
 *
 * Bun marks its one writable and executable mapping (the JIT's) MADV_DONTFORK, so a forked child
 * would fault on its first instruction there; MADV_DOFORK takes that back. The child has one thread:
 * no garbage-collector helpers, no event loop. A collection that is in progress at the moment of the
 * fork would never end in the child, so an older process collects just before (a young one has had
 * none: docs/decisions/fork.md). The child must be short and
 * synchronous, and end in execve(2) or _exit(2). Undocumented behaviour of Bun, so nothing else in
 * the project may rely on it; `runtime/launch.ts` watches over the child.
 */

import { cString, decodeBytes } from "./bytes.ts";
import { type CallArgs, check } from "./call.ts";
import { libc } from "./libc.ts";

const MADV_DOFORK = 11;
const SIGCHLD = 17;
const CLONE_PIDFD = 0x1000;
const SYS_clone = process.arch === "arm64" ? 220 : 56;

let prepared = false;
let forked = false;
let forks = 0;

function readMaps(): string {
  const O_CLOEXEC = 0o2000000;
  const fd = check(
    "open",
    { path: "/proc/self/maps" },
    libc.openat(-100, cString("/proc/self/maps"), O_CLOEXEC, 0),
  );
  const chunks: string[] = [];
  const buffer = new Uint8Array(65536);
  for (;;) {
    const length = check("read", { fd }, libc.read(fd, buffer, buffer.length));
    if (length === 0) break;
    chunks.push(decodeBytes(buffer.subarray(0, length)));
  }
  check("close", { fd }, libc.close(fd));
  return chunks.join("");
}

/** Lets the JIT's mapping pass on to children (madvise(2)). Once a process. */
function prepareFork(): void {
  if (prepared) return;
  for (const [, start, end] of readMaps().matchAll(/^([0-9a-f]+)-([0-9a-f]+) rwxp /gm)) {
    const from = Number.parseInt(start as string, 16);
    const length = Number.parseInt(end as string, 16) - from;
    check("madvise", { from, length }, libc.madvise(from, length, MADV_DOFORK));
  }
  prepared = true;
}

/**
 * A process younger than this, in milliseconds since its start, has not allocated enough for a first
 * collection; by the second fork it may have.
 */
const YOUNG = 200;

/**
 * Whether the collector may be at work on another thread, so that its work has to be finished
 * first. In a process that was forked itself there is nobody to do it, nor to wait for.
 */
function mayBeCollecting(): boolean {
  if (forked) return false;
  const first = forks++ === 0;
  return !first || performance.now() > YOUNG || process.env["BUN_JSC_collectContinuously"] === "1";
}

/**
 * clone(2) without a new stack: fork, into new namespaces.
 * @param flags CLONE_NEW* bits
 * @returns in the parent the child's pid and a pidfd (close-on-exec); in the child `undefined`
 */
export function forkWithNamespaces(
  flags: number,
  args: CallArgs,
): { pid: number; pidfd: number } | undefined {
  prepareFork();
  const pidfd = new Int32Array(1);
  if (mayBeCollecting()) Bun.gc(true);
  const pid = check(
    "clone",
    args,
    libc.clone(SYS_clone, flags | SIGCHLD | CLONE_PIDFD, null, pidfd, null, null),
  );
  if (pid === 0) {
    forked = true;
    return undefined;
  }
  return { pid, pidfd: pidfd[0] as number };
}
