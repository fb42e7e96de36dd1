/** What a command of the OCI runtime is. */
import { MydockerError } from "../../errors.ts";
import { type ParsedCommandLine, parseCommandLine } from "../argv.ts";
import type { OptionTable } from "../option_table.ts";
import type { Globals } from "./globals.ts";

/** The exit code; nothing for 0. */
type Outcome = number | undefined;

/** What there is to say of a command. */
interface Description<T extends OptionTable> {
  readonly description: string;
  readonly options: T;
  /** its arguments, as the help shows them */
  readonly usage: string;
  readonly min: number;
  readonly max: number;
}

/** A command: its options, how many arguments it takes, and what it does. */
export interface OciCommand extends Description<OptionTable> {
  /** Parses the arguments, and returns what is left to do; undefined when `--help` was asked for. */
  readonly prepare: (
    args: readonly string[],
    globals: Globals,
  ) => (() => Outcome | Promise<Outcome>) | undefined;
}

/** A command with what its options come out as known to `run`. @throws {MydockerError} from prepare */
export function defineOciCommand<const T extends OptionTable>(
  definition: Description<T> & {
    readonly run: (input: ParsedCommandLine<T>, globals: Globals) => Outcome | Promise<Outcome>;
  },
): OciCommand {
  const { run, ...description } = definition;
  const { options, min, max, usage } = description;
  return {
    ...description,
    prepare(args, globals) {
      const input = parseCommandLine(options, args, { stopAtPositional: true });
      if (input.help) return undefined;
      const count = input.positionals.length;
      if (count < min || count > max) {
        const expected = usage === "" ? "none" : usage;
        throw new MydockerError(`${count} arguments given, expected ${expected}`);
      }
      return () => run(input, globals);
    },
  };
}
