/** How long one container takes, from the command's start to its end, beside runc and crun. */

import { runCommand, unpackImage } from "./tools/image.ts";
import { type Bench, roundsOr, runBenches } from "./tools/main.ts";
import { alternate, median, quantile, timeProgram } from "./tools/measure.ts";
import { preparePeers } from "./tools/peers.ts";
import { ms, times, verdict } from "./tools/report.ts";

/** The most that a run may take, in times of a peer's. */
const TARGETS: Readonly<Record<string, number>> = { crun: 2.0, runc: 0.8 };

/** Milliseconds between runs that do not follow each other at once. */
const REST = 100;

/** `run`: see the note that it returns. */
export const run: Bench = async (session) => {
  const layer = unpackImage(session);
  const { found, skipped } = preparePeers(session, layer);
  const rounds = roundsOr(60);
  const candidates = [
    { name: "mydocker", measure: () => timeProgram(session, runCommand(session, "true")) },
    ...found.map(({ name, command }) => ({ name, measure: () => timeProgram(session, command()) })),
  ];
  const rows: string[][] = [];
  for (const rest of [REST, 0]) {
    const measured = await alternate(session, candidates, { rounds, warmUp: 5, rest });
    rows.push(...rowsOf(measured, rest === 0 ? "one after the other" : `after ${rest} ms of rest`));
  }
  return {
    id: "run",
    title: "One run",
    note: `\`mydocker run --rm --network none busybox true\`, and \`run\` of the peers with the configuration that \
their \`spec\` makes, on a copy of the same root file system. Medians of ${rounds} rounds in alternation, once with ${REST} \
ms of rest before each run, as when somebody types it, and once without. The kernel makes the first process that \
joins a cgroup after a rest wait for several milliseconds \
([why](decisions/cgroup-hierarchies.md)), which the peers do not avoid.`,
    table: { head: ["", "median", "the middle half", "mydocker to it", "target"], rows },
    skipped,
  };
};

function rowsOf(measured: ReadonlyMap<string, readonly number[]>, how: string): string[][] {
  const own = median(measured.get("mydocker") ?? []);
  return [...measured].map(([name, values]) => {
    const ratio = own / median(values);
    const most = TARGETS[name];
    const middle = `${ms(quantile(values, 0.25))} – ${ms(quantile(values, 0.75))}`;
    const beside = most === undefined ? ["", ""] : [times(ratio), verdict(ratio, most)];
    return [`${name}, ${how}`, ms(median(values)), middle, ...beside];
  });
}

if (import.meta.main) await runBenches([run]);
