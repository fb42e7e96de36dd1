/** How a benchmark is called: alone, or as one of all. */

import { markdownBody, type Section } from "./report.ts";
import { Interrupted, Session } from "./session.ts";

/** A benchmark. */
export type Bench = (session: Session) => Promise<Section>;

/** Runs benchmarks and prints what they found; the exit code is of failures, never of a time. */
export async function runBenches(benches: readonly Bench[]): Promise<Section[]> {
  const sections: Section[] = [];
  try {
    for (const bench of benches) {
      await using session = await Session.open();
      const section = await runBench(bench, session);
      sections.push(section);
      console.log(`## ${section.title}\n\n${markdownBody(section)}\n`);
    }
  } catch (error) {
    process.exitCode = error instanceof Interrupted ? 130 : 1;
    for (const message of messages(error)) console.error(`bench: ${message}`);
  }
  return sections;
}

/** What went wrong, and what went wrong with cleaning up behind it. */
function messages(error: unknown): string[] {
  if (error instanceof SuppressedError) {
    return [...messages(error.suppressed), ...messages(error.error)];
  }
  return [error instanceof Error ? error.message : String(error)];
}

/** What was being measured ends with Ctrl-C too, and fails: that is no failure of the benchmark. */
async function runBench(bench: Bench, session: Session): Promise<Section> {
  try {
    return await bench(session);
  } catch (error) {
    await session.checkpoint();
    throw error;
  }
}

/** What stands behind an option in the command line, else what is given. */
export function optionOr(option: string, usual: string): string {
  const at = process.argv.indexOf(option);
  return at === -1 ? usual : (process.argv[at + 1] ?? "");
}

/** The number of rounds: `--rounds N`, else the one that is given. */
export function roundsOr(usual: number): number {
  const asked = Number(optionOr("--rounds", String(usual)));
  if (!Number.isInteger(asked) || asked < 1) throw new Error("--rounds: not a number of rounds");
  return asked;
}
