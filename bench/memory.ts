/** How much memory a container in the foreground takes. */

import { readFileSync } from "node:fs";
import { close, POLLIN, pipe, poll } from "../src/linux/fd.ts";
import { kill, P_PID, SIGNALS, WNOHANG, waitExit } from "../src/linux/process.ts";
import { runCommand, unpackImage } from "./tools/image.ts";
import { type Bench, roundsOr, runBenches } from "./tools/main.ts";
import { median, spawn } from "./tools/measure.ts";
import { verdict } from "./tools/report.ts";
import type { Session } from "./tools/session.ts";

/** Megabytes. */
const TARGETS = { peak: 45, anonymous: 8 };

/** `memory`: see the note that it returns. */
export const memory: Bench = async (session) => {
  unpackImage(session);
  const rounds = roundsOr(15);
  const samples: Sample[] = [];
  for (let round = 0; round < rounds; round++) {
    samples.push(sampleRun(session));
    await session.checkpoint();
  }
  const row = (name: string, value: (sample: Sample) => number, most?: number): string[] => {
    const values = samples.map(value);
    const [middle, worst] = [median(values), Math.max(...values)];
    return [name, mb(middle), mb(worst), most === undefined ? "" : verdict(worst, most)];
  };
  return {
    id: "memory",
    title: "Memory",
    note: `\`mydocker run --rm --network none busybox sleep\`: the process of the command line, watched from its \
start to its end, ${rounds} times. The target is for the worst. Most of the resident memory is the executable, which all \
processes share through the page cache.`,
    table: {
      head: ["", "median", "worst", "target"],
      rows: [
        row("resident, at its peak (VmHWM)", ({ peak }) => peak, TARGETS.peak),
        row(
          "of it anonymous, at its peak (RssAnon)",
          ({ anonymous }) => anonymous,
          TARGETS.anonymous,
        ),
        row("while the container runs: proportional share (Pss)", ({ share }) => share),
        row("while the container runs: its alone (Private_Dirty)", ({ dirty }) => dirty),
      ],
    },
  };
};

const mb = (value: number): string => `${value.toFixed(1)} MB`;

/** Megabytes of 10^6 bytes. */
interface Sample {
  readonly peak: number;
  readonly anonymous: number;
  readonly share: number;
  readonly dirty: number;
}

/** Runs a container for a moment, and reads what procfs says of mydocker all the while. */
function sampleRun(session: Session): Sample {
  const [reader, writer] = pipe();
  const argv = runCommand(session, "sh", "-c", "echo; sleep 10");
  const pid = spawn(session, argv, { stdout: writer });
  close(writer);
  let [peak, anonymous] = [0, 0];
  let rollup: string | undefined;
  try {
    while (waitExit(P_PID, pid, WNOHANG) === undefined) {
      const status = procFile(pid, "status");
      peak = Math.max(peak, field(status, "VmHWM"));
      anonymous = Math.max(anonymous, field(status, "RssAnon"));
      if (rollup !== undefined) continue;
      const events = poll([{ fd: reader, events: POLLIN, revents: 0 }], 0);
      if (events === 0) continue;
      rollup = procFile(pid, "smaps_rollup"); // the container's first line: it runs
      kill(pid, SIGNALS.SIGTERM);
    }
  } finally {
    close(reader);
  }
  if (rollup === undefined || rollup === "") throw session.failure(argv, undefined);
  return { peak, anonymous, share: field(rollup, "Pss"), dirty: field(rollup, "Private_Dirty") };
}

function procFile(pid: number, name: string): string {
  try {
    return readFileSync(`/proc/${pid}/${name}`, "latin1");
  } catch {
    return ""; // it has just ended
  }
}

/** A field that is in kB (proc_pid_status(5)), which are kibibytes. */
function field(text: string, name: string): number {
  const kibibytes = new RegExp(`^${name}:\\s+(\\d+) kB$`, "m").exec(text)?.[1];
  return (Number(kibibytes ?? 0) * 1024) / 1e6;
}

if (import.meta.main) await runBenches([memory]);
