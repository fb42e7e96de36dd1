/** How long the executable takes to start: as a command, as init by way of a fork, as init anew. */

import { encodeBytes } from "../src/ffi/bytes.ts";
import { close, F_SETFD, fcntl, memfdCreate, pipe, read, writeAll } from "../src/linux/fd.ts";
import { P_PID, P_PIDFD, waitExit } from "../src/linux/process.ts";
import { messagePair, receiveMessage } from "../src/linux/socket.ts";
import { STAGE } from "../src/runtime/stage.ts";
import { type Bench, roundsOr, runBenches } from "./tools/main.ts";
import { alternate, median, spawn, timeProgram } from "./tools/measure.ts";
import { ms, times, verdict } from "./tools/report.ts";
import type { Session } from "./tools/session.ts";

/** The most that a start may take, in times of an empty program's. */
const TARGET = 1.3;

/** The environment that runtime/stage.ts gives. */
const ONE_THREAD = [
  "BUN_JSC_useConcurrentJIT=0",
  "BUN_JSC_useConcurrentGC=0",
  "BUN_JSC_numberOfGCMarkers=1",
];

/** A plan with which init starts, and fails at its first mount. */
const PLAN = {
  spec: { process: {}, linux: { namespaces: [{ type: "mount" }, { type: "pid" }] } },
  mounts: [],
  lateFrom: 0,
  root: { kind: "directory", path: "/nonexistent" },
  attachAt: "/nonexistent",
};

/** `startup`: see the note that it returns. */
export const startup: Bench = async (session) => {
  const empty = await session.compile("empty");
  const firstFork = await session.compile("first_fork");
  const rounds = roundsOr(60);
  const measured = await alternate(
    session,
    [
      { name: "an empty program", measure: () => timeProgram(session, [empty]) },
      {
        name: "`mydocker version`",
        measure: () => timeProgram(session, [session.executable, "version"]),
      },
      { name: "init by fork", measure: () => timeFork(session, firstFork) },
      { name: "init by a fresh process", measure: () => timeStage(session) },
    ],
    { rounds, warmUp: 5 },
  );
  const base = median(measured.get("an empty program") ?? []);
  const rows = [...measured].map(([name, values]) => {
    const ratio = median(values) / base;
    return [name, ms(median(values)), times(ratio), ratio === 1 ? "" : verdict(ratio, TARGET)];
  });
  return {
    id: "startup",
    title: "Start-up",
    note: `Medians of ${rounds} rounds in alternation. The empty program is compiled with the executable's own flags. \
Init by fork, which is the usual way: from the call of the fork to the child's first instruction. Init by a fresh \
process, which is the way out: from the start of the executable until it has read the plan, forked init and ended.`,
    table: { head: ["", "median", "to an empty program", "target"], rows },
  };
};

/** What the program says that it measured. */
function timeFork(session: Session, program: string): number {
  const [reader, writer] = pipe();
  try {
    const pid = spawn(session, [program], { stdout: writer });
    const status = waitExit(P_PID, pid);
    if (status?.code !== 0) throw session.failure([program], status?.code);
    const buffer = new Uint8Array(64);
    return Number(new TextDecoder().decode(buffer.subarray(0, read(reader, buffer))));
  } finally {
    close(reader);
    close(writer);
  }
}

/** Runs the stage as `runtime/stage.ts` does. Its init fails, on purpose, after the time was taken. */
function timeStage(session: Session): number {
  const [ours, theirs] = messagePair();
  const memory = memfdCreate("plan");
  try {
    writeAll(memory, encodeBytes(JSON.stringify({ kind: "init", plan: PLAN })));
    for (const fd of [memory, theirs]) fcntl(fd, F_SETFD, 0);
    const argv = [session.executable, STAGE, String(memory), String(theirs)];
    const start = performance.now();
    const pid = spawn(session, argv, { env: ONE_THREAD });
    const status = waitExit(P_PID, pid);
    const time = performance.now() - start;
    if (status?.code !== 0) throw session.failure(argv, status?.code);
    reapInit(ours);
    return time;
  } finally {
    for (const fd of [ours, theirs, memory]) close(fd);
  }
}

/** Init is our child (CLONE_PARENT). Its socket is closed by then, or ours of the same end is the last. */
function reapInit(socket: number): void {
  for (;;) {
    const message = receiveMessage(socket);
    if (message?.fd === undefined) continue; // init has failed before the stage said who it is
    waitExit(P_PIDFD, message.fd);
    close(message.fd);
    return;
  }
}

if (import.meta.main) await runBenches([startup]);
