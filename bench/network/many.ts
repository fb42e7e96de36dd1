/** Many containers on one network: what the next start and a lookup take. */

import type { Client } from "../life.ts";
import { median, timeProgram } from "../tools/measure.ts";
import { ms, times } from "../tools/report.ts";
import type { Session } from "../tools/session.ts";
import { lookups } from "./pair.ts";

/** Of how many starts the median is taken. */
const LAST = 10;
/** How many are removed by one command. */
const REMOVED = 50;

const NETWORK = "many";

/** Starts and lookups when there are so many containers. @param counts growing, none below {@link LAST} */
export async function manyRows(
  session: Session,
  { command, image }: Client,
  counts: readonly number[],
): Promise<string[][]> {
  const names: string[] = [];
  const most = counts.at(-1) ?? 0;
  timeProgram(session, command("network", "create", "--subnet", "10.123.0.0/16", NETWORK));
  session.undo.defer(() => {
    for (let at = 0; at < names.length; at += REMOVED)
      timeProgram(session, command("rm", "-f", ...names.slice(at, at + REMOVED)));
    timeProgram(session, command("network", "rm", NETWORK));
  });
  const rows: string[][] = [];
  const taken: number[] = [];
  let [firstStart, firstRate] = [0, 0];
  while (names.length < most) {
    const name = `${NETWORK}${names.length}`;
    names.push(name);
    const argv = command("run", "-d", "--name", name, "--network", NETWORK, image);
    taken.push(timeProgram(session, [...argv, "sleep", "100000"]));
    await session.checkpoint();
    if (!counts.includes(names.length)) continue;
    const start = median(taken.slice(-LAST));
    const rate = await lookups(pidOf(session, command), NETWORK, 1, names.length);
    if (firstStart === 0) [firstStart, firstRate] = [start, rate];
    rows.push(
      [`mydocker: run -d, ${names.length} on the network`, ms(start), growth(start / firstStart)],
      [
        `mydocker: lookups of all ${names.length} names`,
        `${rate.toFixed(0)}/s`,
        growth(firstRate / rate),
      ],
    );
  }
  return rows.map((row) => [...row, ""]);
}

/** How many times what the fewest take. */
const growth = (value: number): string => (value === 1 ? "" : `${times(value)} of the fewest`);

function pidOf(session: Session, command: Client["command"]): number {
  const env = Object.fromEntries(session.env.map((each) => each.split("=", 2)));
  const argv = command("inspect", "--format", "{{.State.Pid}}", `${NETWORK}0`);
  return Number(Bun.spawnSync(argv, { env }).stdout.toString());
}
