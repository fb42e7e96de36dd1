/** What to say to a command that does not exist. */
import { MydockerError } from "../errors.ts";
import { seeHelp } from "./command.ts";
import { LATER_COMMANDS, wordsAfter } from "./tree.ts";

/** The error for a word that is no command, or not yet. @param group what stood before it */
export function unknownCommand(word: string, group?: string): MydockerError {
  const path = group === undefined ? "mydocker" : `mydocker ${group}`;
  if (LATER_COMMANDS.has(word))
    return new MydockerError(`'${path} ${word}' is not supported by this version yet`);
  const nearest = nearestWord(word, wordsAfter(group));
  const suggestion = nearest === undefined ? "" : `Did you mean '${path} ${nearest}'? `;
  return new MydockerError(`'${word}' is not a ${path} command.`, {
    exitCode: 1,
    hint: `${suggestion}${seeHelp(path)}`,
  });
}

/** The candidate that a slip of the finger turns into `word`; none when that takes more than a third of it. */
export function nearestWord(word: string, candidates: readonly string[]): string | undefined {
  let best: string | undefined;
  let least = Math.max(1, Math.floor(word.length / 3)) + 1;
  for (const candidate of candidates) {
    const distance = editDistance(word, candidate);
    if (distance < least) [best, least] = [candidate, distance];
  }
  return best;
}

/** Insertions, deletions, replacements and swaps of neighbours (optimal string alignment). */
function editDistance(a: string, b: string): number {
  let before: number[] = [];
  let previous = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const cost = a[i - 1] === b[j - 1] ? 0 : 1;
      let least = Math.min(
        (previous[j] as number) + 1,
        (row[j - 1] as number) + 1,
        (previous[j - 1] as number) + cost,
      );
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1])
        least = Math.min(least, (before[j - 2] as number) + 1);
      row.push(least);
    }
    [before, previous] = [previous, row];
  }
  return previous[b.length] as number;
}
