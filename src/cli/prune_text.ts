/** What `prune` prints. */
import { MydockerError } from "../errors.ts";
import { isConfirmed } from "./confirm.ts";
import { humanTotal } from "./human.ts";
import { print } from "./output.ts";
import { reportError } from "./report.ts";

/** What is removed of one kind. */
export interface PruneReport {
  /** `Deleted Containers:` */
  readonly heading: string;
  readonly lines: readonly string[];
  /** bytes */
  readonly reclaimed: number;
  readonly problems: readonly MydockerError[];
}

/**
 * Asks unless by force, then removes one kind of thing after the other and says what went.
 * @param warning what is asked, without the question itself
 * @returns the exit code; undefined when the answer was no
 */
export async function pruneWithQuestion(
  warning: string,
  force: boolean,
  kinds: readonly (() => PruneReport)[],
): Promise<number | undefined> {
  if (!force && !(await isConfirmed(`${warning}\nAre you sure you want to continue?`)))
    return undefined;
  let [reclaimed, exitCode] = [0, 0];
  for (const prune of kinds) {
    const report = attempt(prune);
    if (report.lines.length > 0)
      await print(`${[report.heading, ...report.lines, ""].join("\n")}\n`);
    for (const problem of report.problems) exitCode = reportError(problem);
    reclaimed += report.reclaimed;
  }
  await printTotal(reclaimed);
  return exitCode;
}

/** One kind that cannot be removed keeps no other. */
function attempt(prune: () => PruneReport): PruneReport {
  try {
    return prune();
  } catch (error) {
    if (!(error instanceof MydockerError)) throw error;
    return { heading: "", lines: [], reclaimed: 0, problems: [error] };
  }
}

const printTotal = (bytes: number) => print(`Total reclaimed space: ${humanTotal(bytes)}\n`);

/** {@link pruneWithQuestion} for one kind: there the total is said in any case, as Docker does. */
export async function pruneKind(
  warning: string,
  force: boolean,
  prune: () => PruneReport,
): Promise<number> {
  const exitCode = await pruneWithQuestion(warning, force, [prune]);
  if (exitCode === undefined) await printTotal(0);
  return exitCode ?? 0;
}

/** `untagged: busybox:latest`. */
export const removedImageLine = ({
  action,
  what,
}: {
  readonly action: string;
  readonly what: string;
}): string => `${action.toLowerCase()}: ${what}`;
