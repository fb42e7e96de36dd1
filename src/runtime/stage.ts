/**
 * The way out when a forked child hangs: start the executable anew and fork from there.
 *
 * A child forked by a process with other threads inherits whatever state those threads had the
 * runtime in (ffi/fork.ts). A fresh process that is told to have one thread only has no such state
 * to inherit. It costs another start-up, so it is what we do second.
 *
 *   creator ── posix_spawn ──▶ stage ── clone(CLONE_PARENT) ──▶ init, a child of the creator
 *      ▲                         │ "forked" + pidfd                │
 *      └─────────────────────────┴──────────── one socket ────────┘
 */
import { decodeBytes, encodeBytes } from "../ffi/bytes.ts";
import { Flags } from "../ffi/call.ts";
import { forkWithNamespaces } from "../ffi/fork.ts";
import { close, F_SETFD, fcntl, memfdCreate, pread, writeAll } from "../linux/fd.ts";
import { CLONE, exitNow, P_PID, posixSpawn, waitExit } from "../linux/process.ts";
import { cloneFlags } from "../namespaces/namespaces.ts";
import { runInit } from "./init.ts";
import type { InitPlan } from "./init_plan.ts";
import { tell } from "./protocol.ts";

/** The first argument by which `main.ts` knows that it is this stage. */
export const STAGE = "internal-init-stage";

/** One thread: no JIT workers, no helpers of the collector. */
const ENVIRONMENT = [
  "BUN_JSC_useConcurrentJIT=0",
  "BUN_JSC_useConcurrentGC=0",
  "BUN_JSC_numberOfGCMarkers=1",
];

type WirePlan = Omit<InitPlan, "windowSize"> & { readonly windowSize?: number[] };

/**
 * Starts the stage and waits until it has forked.
 * @param socket the end of the message pair that init is to have
 */
export function spawnStage(plan: InitPlan, socket: number): void {
  const memory = memfdCreate("mydocker-plan");
  const { windowSize, ...rest } = plan;
  const wire: WirePlan = windowSize === undefined ? rest : { ...rest, windowSize: [...windowSize] };
  writeAll(memory, encodeBytes(JSON.stringify(wire)));
  const passed = [memory, socket, ...(plan.stdio ?? [])];
  for (const fd of passed) fcntl(fd, F_SETFD, 0);
  try {
    const argv = [process.execPath, STAGE, String(memory), String(socket)];
    const pid = posixSpawn(process.execPath, argv, ENVIRONMENT);
    waitExit(P_PID, pid);
  } finally {
    close(memory);
  }
}

/** The stage itself: ends in init, or with exit code 0 once it has forked. */
export function runStage(argv: readonly string[]): never {
  const [memory = -1, socket = -1] = argv.map(Number);
  const { windowSize, ...rest }: WirePlan = JSON.parse(readWhole(memory));
  close(memory);
  const plan: InitPlan =
    windowSize === undefined ? rest : { ...rest, windowSize: Uint8Array.from(windowSize) };
  const flags = cloneFlags(plan.spec.linux.namespaces) | CLONE.CLONE_PARENT;
  const child = forkWithNamespaces(flags, { flags: new Flags(CLONE, flags) });
  if (child === undefined) return runInit(plan, socket);
  tell(socket, { kind: "forked", pid: child.pid }, child.pidfd);
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
