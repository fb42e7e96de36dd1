/** What one run of `bun test` came to, from its JUnit report and the way its process ended. */

/** How many tests passed, failed, and were skipped. */
export interface Counts {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

/** How the process of a test file ended. */
export interface Ending {
  readonly exitCode: number | null;
  readonly signal: string | null;
}

/** The sum of counts. */
export function sumCounts(counts: readonly Counts[]): Counts {
  const sum = (key: keyof Counts) => counts.reduce((total, count) => total + count[key], 0);
  return { passed: sum("passed"), failed: sum("failed"), skipped: sum("skipped") };
}

/** The last line of a test run. */
export function formatCounts({ passed, failed, skipped }: Counts): string {
  return `${passed} passed, ${failed} failed, ${skipped} skipped`;
}

/** What {@link formatCounts} wrote. @returns undefined for any other line */
export function parseCounts(line: string): Counts | undefined {
  const found = /^(\d+) passed, (\d+) failed, (\d+) skipped$/.exec(line);
  if (found === null) return undefined;
  const [passed, failed, skipped] = found.slice(1).map(Number) as [number, number, number];
  return { passed, failed, skipped };
}

/** Lines shown of a test that failed: the last ones have the comparison and the place. */
const SHOWN_LINES = 40;

/**
 * What `bun test` printed of the tests that failed: each one's `(fail)` line, and what came since the
 * result before it.
 */
export function failuresIn(output: string): string[] {
  const failures: string[] = [];
  let since: string[] = [];
  for (const line of output.split("\n")) {
    since.push(line);
    if (!/^\((?:pass|fail|skip|todo)\) /.test(line)) continue;
    if (line.startsWith("(fail)")) failures.push(since.slice(-SHOWN_LINES).join("\n").trim());
    since = [];
  }
  return failures;
}

/**
 * Counts one test file's results. A file that left no report, ran no test, or ended otherwise than
 * its report says (an error outside of tests, a crash after the last one) has failed.
 *
 * @param report The JUnit file's text; undefined if bun left none.
 */
export function countResults(report: string | undefined, { exitCode, signal }: Ending): Counts {
  const root = /<testsuites\b([^>]*)>/.exec(report ?? "")?.[1];
  if (root === undefined) return { passed: 0, failed: 1, skipped: 0 };
  const [tests, failures, skipped] = ["tests", "failures", "skipped"].map((name) =>
    Number(new RegExp(`\\b${name}="(\\d+)"`).exec(root)?.[1] ?? Number.NaN),
  ) as [number, number, number];
  const passed = tests - failures - skipped;
  if (!(passed >= 0) || tests === 0) return { passed: 0, failed: 1, skipped: 0 };
  const endedWell = exitCode === 0 && signal === null;
  const failed = endedWell ? failures : Math.max(failures, 1);
  return { passed, failed, skipped };
}
