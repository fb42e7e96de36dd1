/** Whether a container starts as fast beside 199 others as alone. */

import { isErrno } from "../src/ffi/call.ts";
import { close, pipe, read } from "../src/linux/fd.ts";
import { kill, P_PID, SIGNALS, waitExit } from "../src/linux/process.ts";
import { runCommand, unpackImage } from "./tools/image.ts";
import { type Bench, roundsOr, runBenches } from "./tools/main.ts";
import { median, spawn } from "./tools/measure.ts";
import { ms, times, verdict } from "./tools/report.ts";
import type { Session } from "./tools/session.ts";

/** The most that the 200th start may take, in times of the first. */
const TARGET = 1.2;
/** How many run beside the one that is measured. */
const OTHERS = 199;
/** How often they are started, in turn with single ones. */
const CYCLES = 3;

/** `flat`: see the note that it returns. */
export const flat: Bench = async (session) => {
  unpackImage(session);
  const rounds = roundsOr(15);
  using group = new Group(session);
  await starts(session, group, 3); // warm-up
  const alone = await starts(session, group, rounds);
  const beside: number[] = [];
  for (let cycle = 0; cycle < CYCLES; cycle++) {
    for (let i = 0; i < OTHERS; i++) {
      group.start();
      await session.checkpoint();
    }
    beside.push(...(await starts(session, group, rounds)));
    group.endAll();
    alone.push(...(await starts(session, group, rounds)));
  }
  const ratio = median(beside) / median(alone);
  return {
    id: "flat",
    title: "Many containers",
    note: `From the start of \`mydocker run\` to the first line that the container prints. ${OTHERS} \
others are started and ended ${CYCLES} times. Medians of ${beside.length} starts beside them, and of ${alone.length} of a single one, \
before, between and after.`,
    table: {
      head: ["", "median", "to the first", "target"],
      rows: [
        ["the first container", ms(median(alone)), "1.00×", ""],
        [`the ${OTHERS + 1}th container`, ms(median(beside)), times(ratio), verdict(ratio, TARGET)],
      ],
    },
  };
};

/** Starts and ends one container after the other. @returns what the starts took */
async function starts(session: Session, group: Group, count: number): Promise<number[]> {
  const measured: number[] = [];
  for (let i = 0; i < count; i++) {
    const { pid, time } = group.start();
    measured.push(time);
    group.end(pid);
    await session.checkpoint();
  }
  return measured;
}

/** Containers in the background. None is left. */
class Group implements Disposable {
  readonly #session: Session;
  readonly #running = new Set<number>();

  constructor(session: Session) {
    this.#session = session;
  }

  /** Starts one and waits until it runs. @returns the pid of its mydocker, and the milliseconds */
  start(): { pid: number; time: number } {
    const argv = runCommand(this.#session, "sh", "-c", "echo; exec sleep 1000");
    const [reader, writer] = pipe();
    try {
      const start = performance.now();
      const pid = spawn(this.#session, argv, { stdout: writer });
      close(writer);
      this.#running.add(pid);
      if (read(reader, new Uint8Array(1)) === 0) throw this.#session.failure(argv, undefined);
      return { pid, time: performance.now() - start };
    } finally {
      close(reader);
    }
  }

  /** Ends one: its command does not handle SIGTERM, so mydocker kills it and removes the container. */
  end(pid: number): void {
    try {
      kill(pid, SIGNALS.SIGTERM);
    } catch (error) {
      if (!isErrno(error, "ESRCH")) throw error;
    }
    waitExit(P_PID, pid);
    this.#running.delete(pid);
  }

  /** Ends all that run. */
  endAll(): void {
    for (const pid of this.#running) this.end(pid);
  }

  [Symbol.dispose](): void {
    this.endAll();
  }
}

if (import.meta.main) await runBenches([flat]);
