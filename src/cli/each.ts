/** Commands on several objects. */
import { NotFoundError } from "../errors.ts";

/**
 * Does something for each of the arguments, going on when it fails for one, as Docker does.
 * @param report is told of each failure
 * @param options mayBeMissing: one that is not there is told, but no failure (`-f`)
 * @returns 0, or 1 when anything failed
 */
export async function forEachArgument(
  args: readonly string[],
  act: (arg: string) => void | Promise<void>,
  report: (error: unknown) => void,
  options: { readonly mayBeMissing?: boolean } = {},
): Promise<number> {
  let exitCode = 0;
  for (const arg of args) {
    try {
      await act(arg);
    } catch (error) {
      report(error);
      if (!(options.mayBeMissing && error instanceof NotFoundError)) exitCode = 1;
    }
  }
  return exitCode;
}
