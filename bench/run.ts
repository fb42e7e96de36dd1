/** How long one container takes, from the command's start to its end, beside runc and crun. */

import { runCommand, unpackImage } from "./tools/image.ts";
import { type Bench, roundsOr, runBenches } from "./tools/main.ts";
import { alternate, median, quantile, timeProgram } from "./tools/measure.ts";
import { preparePeers } from "./tools/peers.ts";
import { ms, times, verdict } from "./tools/report.ts";

/** The most that a run may take, in times of a peer's. */
const TARGETS: Readonly<Record<string, number>> = { crun: 2.0, runc: 0.8 };

/** `run`: see the note that it returns. */
export const run: Bench = async (session) => {
  const layer = unpackImage(session);
  const { found, skipped } = preparePeers(session, layer);
  const rounds = roundsOr(60);
  const measured = await alternate(
    session,
    [
      { name: "mydocker", measure: () => timeProgram(session, runCommand(session, "true")) },
      ...found.map(({ name, command }) => ({
        name,
        measure: () => timeProgram(session, command()),
      })),
    ],
    { rounds, warmUp: 5 },
  );
  const own = median(measured.get("mydocker") ?? []);
  const rows = [...measured].map(([name, values]) => {
    const ratio = own / median(values);
    const most = TARGETS[name];
    const middle = `${ms(quantile(values, 0.25))} – ${ms(quantile(values, 0.75))}`;
    const beside = most === undefined ? ["", ""] : [times(ratio), verdict(ratio, most)];
    return [name, ms(median(values)), middle, ...beside];
  });
  return {
    id: "run",
    title: "One run",
    note: `\`mydocker run --rm --network none busybox true\`, and \`run\` of the peers with the configuration that \
their \`spec\` makes, on a copy of the same root file system. Medians of ${rounds} rounds in alternation.`,
    table: { head: ["", "median", "the middle half", "mydocker to it", "target"], rows },
    skipped,
  };
};

if (import.meta.main) await runBenches([run]);
