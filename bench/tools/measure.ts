/** Measuring in alternation, so that what else the machine does falls on everybody alike. */

import { close, dupOnto, F_DUPFD_CLOEXEC, fcntl, O, open, syncfs } from "../../src/linux/fd.ts";
import { P_PID, posixSpawn, waitExit } from "../../src/linux/process.ts";
import type { Session } from "./session.ts";

/** One of those that are compared. */
export interface Candidate {
  readonly name: string;
  /** Runs once. @returns milliseconds */
  readonly measure: () => number;
}

export interface Rounds {
  readonly rounds: number;
  readonly warmUp: number;
  /** Milliseconds of sleep before each measurement. */
  readonly rest?: number;
  /** What the one before has not written to the disk yet is written first: nobody's fsync(2) waits for it. */
  readonly synced?: boolean;
}

/**
 * Measures all candidates in every round, another one first each time.
 * @returns the times in milliseconds, by name
 */
export async function alternate(
  session: Session,
  candidates: readonly Candidate[],
  { rounds, warmUp, rest = 0, synced = false }: Rounds,
): Promise<Map<string, number[]>> {
  const times = new Map<string, number[]>(candidates.map(({ name }) => [name, []]));
  for (let round = -warmUp; round < rounds; round++) {
    for (let i = 0; i < candidates.length; i++) {
      const at = (i + Math.max(0, round)) % candidates.length;
      const { name, measure } = candidates[at] as Candidate;
      if (rest > 0) await Bun.sleep(rest);
      if (synced) syncfs(session.stderr);
      const time = measure();
      if (round >= 0) times.get(name)?.push(time);
      await session.checkpoint();
    }
  }
  return times;
}

/** The middle one; NaN of none. */
export function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

/** The value below which the share `q` of all values lies. */
export function quantile(values: readonly number[], q: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (sorted.length - 1) * q;
  const [low, high] = [sorted[Math.floor(at)], sorted[Math.ceil(at)]];
  if (low === undefined || high === undefined) return Number.NaN;
  return low + (high - low) * (at - Math.floor(at));
}

/** How a program is started. */
export interface SpawnOptions {
  /** A descriptor; /dev/null otherwise. */
  readonly stdin?: number;
  readonly stdout?: number;
  /** Instead of the session's. */
  readonly env?: readonly string[];
}

/**
 * Starts a program by posix_spawn(3), which takes a fraction of the time that Bun.spawn takes. Its
 * output goes to /dev/null unless said otherwise, what it says on stderr to the session's file.
 * @returns its pid
 */
export function spawn(
  session: Session,
  argv: readonly string[],
  options: SpawnOptions = {},
): number {
  const nothing = open("/dev/null", O.O_RDWR);
  const saved = [0, 1, 2].map((fd) => fcntl(fd, F_DUPFD_CLOEXEC, 10));
  try {
    dupOnto(options.stdin ?? nothing, 0);
    dupOnto(options.stdout ?? nothing, 1);
    dupOnto(session.stderr, 2);
    return posixSpawn(argv[0] as string, argv, options.env ?? session.env);
  } finally {
    saved.forEach((fd, to) => {
      dupOnto(fd, to);
      close(fd);
    });
    close(nothing);
  }
}

/** A program's time from its start to its end in milliseconds. @throws {Error} if it fails */
export function timeProgram(session: Session, argv: readonly string[]): number {
  const start = performance.now();
  const pid = spawn(session, argv);
  const status = waitExit(P_PID, pid);
  const time = performance.now() - start;
  if (status?.code !== 0) throw session.failure(argv, status?.code);
  return time;
}
