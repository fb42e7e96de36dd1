/** Help, rendered by citty from the tree and the option tables. Loaded only when it is asked for. */
import {
  type ArgsDef,
  type CommandDef,
  defineCommand,
  renderUsage,
  type SubCommandsDef,
} from "citty";
import type { Command, CommandEntry } from "./command.ts";
import { GLOBAL_OPTIONS } from "./global_table.ts";
import type { OptionTable } from "./option_table.ts";
import { COMMANDS, commandPath, GROUPS } from "./tree.ts";

/** The help of `mydocker`, or of one group. */
export function groupHelp(group?: string): Promise<string> {
  return render(
    group === undefined
      ? defineCommand({
          meta: { name: "mydocker", description: "Containers without a daemon" },
          args: optionArgs(GLOBAL_OPTIONS),
          subCommands: topCommands(),
        })
      : defineCommand({
          meta: { name: `mydocker ${group}`, description: GROUPS[group] ?? "" },
          subCommands: groupCommands(group),
        }),
  );
}

/** The help of one command. */
export function commandHelp(entry: CommandEntry, command: Command): Promise<string> {
  const path = commandPath(entry);
  return render(
    defineCommand({
      meta: { name: path, description: entry.description },
      args: optionArgs(command.options),
    }),
    command.positionals.usage,
  );
}

/** Commands that stand in the help by name only: none is loaded for it. */
function topCommands(): SubCommandsDef {
  const commands = COMMANDS.flatMap(({ top, description, load }) =>
    top === undefined ? [] : [[top, summary(description, load)] as const],
  );
  const groups = Object.entries(GROUPS).map(
    ([name, description]) =>
      [name, defineCommand({ meta: { description }, subCommands: groupCommands(name) })] as const,
  );
  return Object.fromEntries([...commands, ...groups]);
}

function groupCommands(group: string): SubCommandsDef {
  return Object.fromEntries(
    COMMANDS.filter((entry) => entry.group === group).map(
      ({ name, aliases, description, load }) => [name, summary(description, load, aliases)],
    ),
  );
}

function summary(
  description: string,
  load: CommandEntry["load"],
  aliases: readonly string[] = [],
): CommandDef {
  return defineCommand({
    meta: { description, alias: [...aliases] },
    args: async () => optionArgs((await load()).command.options),
  });
}

/** An option table in citty's words. */
function optionArgs(table: OptionTable): ArgsDef {
  const args: ArgsDef = {};
  for (const [name, option] of Object.entries(table)) {
    if (option.hidden === true) continue;
    const common = {
      description: option.description,
      alias: option.short === undefined ? [] : [option.short],
    };
    args[name] =
      option.type === "boolean"
        ? { type: "boolean", ...common }
        : { type: "string", valueHint: option.value, ...common };
  }
  return args;
}

/** citty draws in colours whether or not a terminal is there. */
async function render(command: CommandDef, positionals = ""): Promise<string> {
  const usage = await renderUsage(command);
  const { isTerminal } = await import("../linux/tty.ts");
  const text = isTerminal(1) ? usage : Bun.stripANSI(usage);
  // The last column is padded as well.
  return `${withPositionals(text, positionals).replace(/ +$/gm, "")}\n`;
}

/** Puts the positionals, whose count citty cannot express, behind the usage line's options. */
function withPositionals(text: string, positionals: string): string {
  if (positionals === "") return text;
  return text.replace(/^(.*USAGE.*? \[OPTIONS\]) ?/m, (_, start) => `${start} ${positionals}`);
}
