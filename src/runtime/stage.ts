/**
 * A process between the creator and init, which forks init for it.
 *
 *   creator ── fork or posix_spawn ──▶ stage ── clone(CLONE_PARENT) ──▶ init, a child of the creator
 *      ▲                                 │ "forked" + pidfd                │
 *      └─────────────────────────────────┴──────────── one socket ────────┘
 *
 * There are two reasons for one. Some namespaces are entered by children only, and some have to be
 * entered before a new user namespace is (namespaces/join.ts): then it is forked. And a forked child
 * may hang: it inherits whatever state other threads had the JavaScript runtime in (ffi/fork.ts). A
 * fresh process that is told to have one thread only has no such state to inherit; it costs another
 * start-up, so it is what we do second.
 */
import { decodeBytes, encodeBytes } from "../ffi/bytes.ts";
import { Flags } from "../ffi/call.ts";
import { forkWithNamespaces } from "../ffi/fork.ts";
import { close, F_SETFD, FD_CLOEXEC, fcntl, memfdCreate, pread, writeAll } from "../linux/fd.ts";
import { CLONE, exitNow, pidfdOpen, posixSpawn } from "../linux/process.ts";
import { joinNamespaces, needsStage, ThreadsError, unshareTime } from "../namespaces/join.ts";
import { cloneFlags, isNew } from "../namespaces/namespaces.ts";
import { mappedSources } from "../rootfs/apply.ts";
import { runInit } from "./init.ts";
import type { InitPlan } from "./init_plan.ts";
import { forkJoined, type JoinPlan } from "./join.ts";
import { tell } from "./protocol.ts";
import type { Child } from "./watch.ts";

/** The first argument by which `main.ts` knows that it is this stage. */
export const STAGE = "internal-init-stage";

/** Variables of a process that is to have one thread: no JIT workers, no helpers of the collector. */
const SINGLE_THREADED = [
  "BUN_JSC_useConcurrentJIT=0",
  "BUN_JSC_useConcurrentGC=0",
  "BUN_JSC_numberOfGCMarkers=1",
];

/** What the fresh process is to become, with the descriptors that it is to have under the same numbers. */
export type StageWork =
  | { readonly kind: "init"; readonly plan: InitPlan }
  | { readonly kind: "join"; readonly plan: JoinPlan };

/** Bytes have no form of their own in JSON. */
const toWire = (work: StageWork): string =>
  JSON.stringify(work, (_, value: unknown) =>
    value instanceof Uint8Array ? { $bytes: value.toBase64() } : value,
  );

const fromWire = (text: string): StageWork =>
  JSON.parse(text, (_, value) =>
    typeof value?.$bytes === "string" ? Uint8Array.fromBase64(value.$bytes) : value,
  );

/** The descriptors that a plan speaks of. */
function descriptorsOf({ kind, plan }: StageWork): number[] {
  const streams = kind === "init" ? plan : plan.streams;
  const preserved = Array.from({ length: streams.preserved ?? 0 }, (_, index) => 3 + index);
  const common = [...(streams.stdio ?? []), ...preserved];
  if (kind === "join") {
    const { pidfd, pidNamespace = [] } = plan;
    return [...common, pidfd].concat(pidNamespace);
  }
  const start = plan.startSocket === undefined ? [] : [plan.startSocket];
  const root = plan.root.kind === "tree" ? [plan.root.tree] : [];
  return [...common, ...mappedSources(plan.mounts), ...root, ...start];
}

/**
 * Starts a fresh process as the stage.
 * @param socket the end of the message pair that the forked process is to have
 */
export function spawnStage(work: StageWork, socket: number): Child {
  const memory = memfdCreate("mydocker-plan");
  writeAll(memory, encodeBytes(toWire(work)));
  const passed = [memory, socket, ...descriptorsOf(work)];
  for (const fd of passed) fcntl(fd, F_SETFD, 0);
  try {
    const argv = [process.execPath, STAGE, String(memory), String(socket)];
    const pid = posixSpawn(process.execPath, argv, SINGLE_THREADED);
    return { pid, pidfd: pidfdOpen(pid) };
  } finally {
    close(memory);
    for (const fd of passed.slice(1)) fcntl(fd, F_SETFD, FD_CLOEXEC);
  }
}

/** The fresh process: ends in what it forks, or with exit code 0 once it has forked that. */
export function runStage(argv: readonly string[]): never {
  const [memory = -1, socket = -1] = argv.map(Number);
  const { kind, plan } = fromWire(readWhole(memory));
  close(memory);
  return kind === "init" ? runBetween(plan, socket) : forkJoined(plan, socket);
}

/** Enters what has to be entered first, and forks init; never returns. */
export function runBetween(plan: InitPlan, socket: number): never {
  const { namespaces, timeOffsets } = plan.spec.linux;
  try {
    if (needsStage(namespaces)) {
      joinNamespaces(namespaces);
      if (isNew(namespaces, "time")) unshareTime(timeOffsets);
    }
    const flags = cloneFlags(namespaces) | CLONE.CLONE_PARENT;
    const child = forkWithNamespaces(flags, { flags: new Flags(CLONE, flags) });
    if (child === undefined) return runInit(plan, socket);
    tell(socket, { kind: "forked", pid: child.pid }, child.pidfd);
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    const again = error instanceof ThreadsError;
    tell(socket, { kind: "failed", message, exitCode: 125, again });
  }
  return exitNow(0);
}

function readWhole(fd: number): string {
  const chunks: Uint8Array[] = [];
  for (let offset = 0; ; ) {
    const buffer = new Uint8Array(65536);
    const count = pread(fd, buffer, offset);
    if (count === 0) break;
    chunks.push(buffer.subarray(0, count));
    offset += count;
  }
  return decodeBytes(Buffer.concat(chunks));
}
