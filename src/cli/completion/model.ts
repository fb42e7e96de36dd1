/** What the shells' completion scripts are made of: the command tree and the option tables, flattened. */
import type { CommandEntry, CommandTree } from "../command.ts";
import { GLOBAL_OPTIONS } from "../global_table.ts";
import type { Completion, OptionTable } from "../option_table.ts";

/** An option, as a shell offers it. */
export interface CompletedOption {
  /** Without dashes. */
  readonly long: string;
  readonly short?: string;
  /** Other spellings, with their dashes. */
  readonly others: readonly string[];
  readonly description: string;
  /** It may be given more than once. */
  readonly repeated: boolean;
  /** Absent for a switch. */
  readonly value?: { readonly name: string; readonly complete?: Completion };
}

/** A command, as a shell offers it. */
export interface CompletedCommand {
  /** Every way to call it: `run`, `container run`. */
  readonly paths: readonly string[];
  readonly description: string;
  readonly options: readonly CompletedOption[];
  readonly positional?: Completion;
  /** What follows the first positional is another command's. */
  readonly stopAtPositional: boolean;
}

/** All that a shell offers. */
export interface CompletionModel {
  readonly globals: readonly CompletedOption[];
  readonly commands: readonly CompletedCommand[];
  /** What may stand first: commands and groups, with what they do. */
  readonly words: readonly (readonly [string, string])[];
  /** What may stand behind each group. */
  readonly groups: readonly (readonly [string, readonly (readonly [string, string])[]])[];
}

/** Loads every command. */
export async function completionModel({ commands, groups }: CommandTree): Promise<CompletionModel> {
  const tops = commands.flatMap(({ top, description }) =>
    top === undefined ? [] : [[top, description] as const],
  );
  return {
    globals: completedOptions(GLOBAL_OPTIONS),
    commands: await Promise.all(commands.map(completedCommand)),
    words: [...tops, ...Object.entries(groups)],
    groups: Object.keys(groups).map((name) => [
      name,
      commands
        .filter(({ group }) => group === name)
        .map((entry) => [entry.name, entry.description] as const),
    ]),
  };
}

async function completedCommand(entry: CommandEntry): Promise<CompletedCommand> {
  const { command } = await entry.load();
  const { group, name, aliases = [], top } = entry;
  const grouped = group === undefined ? [] : [name, ...aliases].map((word) => `${group} ${word}`);
  return {
    paths: [...(top === undefined ? [] : [top]), ...grouped],
    description: entry.description,
    options: completedOptions(command.options),
    stopAtPositional: command.rules.stopAtPositional === true,
    ...(command.positionals.complete === undefined
      ? {}
      : { positional: command.positionals.complete }),
  };
}

function completedOptions(table: OptionTable): CompletedOption[] {
  const options = Object.entries(table)
    .filter(([, option]) => option.hidden !== true)
    .map(([long, option]): CompletedOption => {
      const others = [
        ...(option.alias === undefined ? [] : [`--${option.alias}`]),
        ...(option.seed === undefined ? [] : [`-${option.seed}`]),
      ];
      return {
        long,
        others,
        description: option.description,
        repeated: option.type === "list",
        ...(option.short === undefined ? {} : { short: option.short }),
        ...(option.type === "boolean"
          ? {}
          : {
              value: {
                name: option.value,
                ...(option.complete === undefined ? {} : { complete: option.complete }),
              },
            }),
      };
    });
  return [...options, { long: "help", others: [], description: "Show help", repeated: false }];
}

/** Every spelling of an option, with its dashes. */
export function spellings({ long, short, others }: CompletedOption): string[] {
  return [...(short === undefined ? [] : [`-${short}`]), `--${long}`, ...others];
}

/** In single quotes, for any of the shells but fish. */
export const shellQuote = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;

/** Commands that print what there is to choose from, a line each. */
export const LISTINGS = {
  container: "mydocker ps --all --format '{{.Names}}'",
  image: "mydocker images --format '{{.Repository}}:{{.Tag}}'",
  volume: "mydocker volume ls --quiet",
} as const;
