/** How fast bytes go through a container. */

import { P_PID, waitExit } from "../src/linux/process.ts";
import { runCommand, unpackImage } from "./tools/image.ts";
import { type Bench, roundsOr, runBenches } from "./tools/main.ts";
import { alternate, median, spawn } from "./tools/measure.ts";
import { times } from "./tools/report.ts";
import type { Session } from "./tools/session.ts";

/** Bytes that are copied in one round. */
const SIZE = 512 << 20;

/** `io`: see the note that it returns. */
export const io: Bench = async (session) => {
  unpackImage(session);
  const rounds = roundsOr(7);
  const [program = "", verb = "", ...rest] = runCommand(session, "cat");
  const container = [program, verb, "-i", ...rest].join(" ");
  const measured = await alternate(
    session,
    [
      { name: "`cat`", measure: () => timePipe(session, "cat") },
      { name: "`mydocker run -i … cat`", measure: () => timePipe(session, container) },
    ],
    { rounds, warmUp: 1 },
  );
  const base = median(measured.get("`cat`") ?? []);
  const rows = [...measured].map(([name, values]) => {
    const time = median(values);
    return [name, `${(SIZE / 1e3 / time).toFixed(0)} MB/s`, times(time / base)];
  });
  return {
    id: "io",
    title: "Throughput",
    note: `\`head -c ${SIZE} /dev/zero | … | cat >/dev/null\`, start and end of the container included. Medians of \
${rounds} rounds in alternation. For information: there is no target.`,
    table: { head: ["in the middle", "throughput", "time to `cat`"], rows },
  };
};

function timePipe(session: Session, middle: string): number {
  const script = `set -o pipefail; head -c ${SIZE} /dev/zero | ${middle} | cat >/dev/null`;
  const argv = ["/bin/bash", "-c", script];
  const start = performance.now();
  const status = waitExit(P_PID, spawn(session, argv));
  const time = performance.now() - start;
  if (status?.code !== 0) throw session.failure(argv, status?.code);
  return time;
}

if (import.meta.main) await runBenches([io]);
