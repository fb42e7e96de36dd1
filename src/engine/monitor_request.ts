/** Starting the monitor of a container, as the command does that starts it. */
import { MydockerError } from "../errors.ts";
import { encodeBytes } from "../ffi/bytes.ts";
import { close, memfdCreate, seek, writeAll } from "../linux/fd.ts";
import { messagePair } from "../linux/socket.ts";
import { spawnProgram } from "../linux/spawn.ts";
import { statePaths } from "../paths.ts";
import { type AttachRequest, hear, readJson, type StartFailure, TAG } from "./attach_protocol.ts";
import type { ProbeRequest } from "./health_probe.ts";
import type { ExecRequest } from "./lifecycle_exec.ts";
import type { RunOptions } from "./run_options.ts";
import { MissingImageError } from "./with_image.ts";

/** What a monitor is to do. */
export type MonitorRequest = (
  | { readonly kind: "run"; readonly options: RunOptions }
  | { readonly kind: "start"; readonly id: string }
  | { readonly kind: "exec"; readonly container: string; readonly request: ExecRequest }
  | { readonly kind: "probe"; readonly probe: ProbeRequest }
) & {
  /** How the command that starts it is attached; absent when it is not. */
  readonly attach?: AttachRequest;
};

/**
 * The monitor has one thread: one that forks with others at work may get a child that hangs
 * (docs/decisions/fork.md), and each thread takes memory of its own. What the JIT's upper tiers take
 * they do not give back in speed: what it does over and over is copying.
 */
const SMALL = [
  "BUN_JSC_useConcurrentJIT=0",
  "BUN_JSC_useConcurrentGC=0",
  "BUN_JSC_numberOfGCMarkers=1",
  "BUN_JSC_useDFGJIT=0",
  "BUN_JSC_useFTLJIT=0",
];

/** A monitor whose container runs. */
export interface StartedMonitor {
  readonly id: string;
  /** a socket to it (attach_protocol.ts) */
  readonly socket: number;
}

/**
 * Starts a monitor, and waits until the container's command is executed.
 * @throws {MydockerError} with exit code 125, 126 or 127 when it could not be
 */
export function startMonitor(request: MonitorRequest): StartedMonitor {
  const { socket } = spawnMonitor(request);
  const message = hear(socket);
  if (message?.[0] === TAG.started) {
    return { id: readJson<{ id: string }>(message).id, socket };
  }
  close(socket);
  if (message?.[0] !== TAG.failed) {
    throw new MydockerError("the container's monitor ended before its command was started", {
      exitCode: 125,
    });
  }
  throw startError(message);
}

/** What a monitor's message that it could not start something means. */
export function startError(message: Uint8Array): MydockerError {
  const { message: said, exitCode, hint, missingImage } = readJson<StartFailure>(message);
  if (missingImage !== undefined) return new MissingImageError(missingImage);
  return new MydockerError(said, { exitCode, ...(hint === undefined ? {} : { hint }) });
}

/** @returns its pid, and our end of the socket to it */
export function spawnMonitor(request: MonitorRequest): { pid: number; socket: number } {
  const memory = memfdCreate("mydocker-request");
  const [ours, theirs] = messagePair();
  try {
    writeAll(memory, encodeBytes(JSON.stringify(request)));
    seek(memory, 0);
    const { root, run } = statePaths();
    const pid = spawnProgram({
      path: process.execPath,
      argv: [process.execPath, "internal-monitor"],
      env: [...SMALL, ...passedOn(), `MYDOCKER_ROOT=${root}`, `MYDOCKER_RUN=${run}`],
      session: true,
      stdin: memory,
      stdout: theirs,
    });
    return { pid, socket: ours };
  } catch (error) {
    close(ours);
    throw error;
  } finally {
    close(memory);
    close(theirs);
  }
}

/** Variables of ours that a monitor minds. */
function passedOn(): string[] {
  return ["MYDOCKER_FORK", "PATH"].flatMap((name) => {
    const value = process.env[name];
    return value === undefined ? [] : [`${name}=${value}`];
  });
}
