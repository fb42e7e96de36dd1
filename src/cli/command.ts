/** What a command is: its table of options, and a few lines that call the engine. */
import { MydockerError } from "../errors.ts";
import { type ParsedCommandLine, type ParseRules, parseCommandLine } from "./argv.ts";
import type { Completion, OptionTable } from "./option_table.ts";

/** A command's positionals, as the help shows them and the completion offers them. */
export interface Positionals {
  /** `CONTAINER [CONTAINER...]` */
  readonly usage: string;
  readonly min: number;
  readonly max: number;
  readonly complete?: Completion;
}

/** Where a command hangs. */
export interface CommandEntry {
  /** `container` in `mydocker container run`. */
  readonly group?: string;
  /** Its name in its group. */
  readonly name: string;
  /** Further names in its group. */
  readonly aliases?: readonly string[];
  /** Its name without a group: `ps` for `container ls`. */
  readonly top?: string;
  readonly description: string;
  readonly load: () => Promise<{ readonly command: Command }>;
}

/** All commands, for one that describes them. */
export interface CommandTree {
  readonly commands: readonly CommandEntry[];
  /** What each group is for. */
  readonly groups: Readonly<Record<string, string>>;
}

/** The command line, parsed; and the exit code comes back. */
export type Run<T extends OptionTable> = (
  input: ParsedCommandLine<T>,
  tree: CommandTree,
) => number | undefined | Promise<number | undefined>;

/** A command as the tree knows it: what help and completion are made of, and its way in. */
export interface Command {
  readonly options: OptionTable;
  readonly positionals: Positionals;
  readonly rules: ParseRules;
  /** The exit code for its failures: 1, but for a command that ends with the container's own. */
  readonly failureCode: number;
  /** Parses the arguments, and returns what is left to do; undefined when `--help` was asked for. */
  readonly prepare: (
    args: readonly string[],
    path: string,
    tree: CommandTree,
  ) => (() => number | undefined | Promise<number | undefined>) | undefined;
}

/** A command, with what its options come out as known to `run`. @throws {UsageError} from prepare */
export function defineCommand<const T extends OptionTable>(definition: {
  readonly options: T;
  readonly positionals: Positionals;
  readonly rules?: ParseRules;
  readonly failureCode?: number;
  readonly run: Run<T>;
}): Command {
  const { options, positionals, rules = {}, failureCode = 1, run } = definition;
  return {
    options,
    positionals,
    rules,
    failureCode,
    prepare(args, path, tree) {
      const input = parseCommandLine(options, args, rules);
      if (input.help) return undefined;
      checkCount(input.positionals.length, positionals, path);
      return () => run(input, tree);
    },
  };
}

/** Docker's words, and its exit code: 1, other than for options. */
function checkCount(count: number, { min, max }: Positionals, path: string): void {
  if (count >= min && count <= max) return;
  const rule =
    max === 0
      ? "accepts no arguments"
      : min === max
        ? `requires exactly ${arguments_(min)}`
        : count < min
          ? `requires at least ${arguments_(min)}`
          : `requires at most ${arguments_(max)}`;
  throw new MydockerError(`"${path}" ${rule}`, { exitCode: 1, hint: seeHelp(path) });
}

const arguments_ = (count: number): string => `${count} argument${count === 1 ? "" : "s"}`;

/** What a usage error ends with. */
export const seeHelp = (path: string): string => `See '${path} --help'.`;

/** Refuses whoever is not root. For after the command line is known to be right, before anything is touched. */
export function requireRoot(path: string): void {
  if (process.geteuid?.() !== 0)
    throw new MydockerError(`${path} needs root: start it with sudo`, { exitCode: 125 });
}
