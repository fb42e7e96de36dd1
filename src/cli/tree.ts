/** The command tree: every command under each of its names, loaded when it is called. */
import type { CommandEntry, CommandTree } from "./command.ts";

/** What each group of commands is for. */
export const GROUPS: Readonly<Record<string, string>> = {
  container: "Manage containers",
  image: "Manage images",
  system: "Manage mydocker",
};

/** All commands, in the order of the help. */
export const COMMANDS: readonly CommandEntry[] = [
  {
    group: "container",
    name: "run",
    top: "run",
    description: "Run a command in a new container",
    load: () => import("./commands/container/run.ts"),
  },
  {
    group: "container",
    name: "ls",
    aliases: ["ps", "list"],
    top: "ps",
    description: "List containers",
    load: () => import("./commands/container/ls.ts"),
  },
  {
    group: "container",
    name: "rm",
    aliases: ["remove"],
    top: "rm",
    description: "Remove one or more containers",
    load: () => import("./commands/container/rm.ts"),
  },
  {
    group: "image",
    name: "ls",
    aliases: ["list"],
    top: "images",
    description: "List images",
    load: () => import("./commands/image/ls.ts"),
  },
  {
    group: "image",
    name: "import",
    top: "import",
    description: "Make an image of a root file system in a tar archive",
    load: () => import("./commands/image/import.ts"),
  },
  {
    group: "image",
    name: "rm",
    aliases: ["remove"],
    top: "rmi",
    description: "Remove one or more images",
    load: () => import("./commands/image/rm.ts"),
  },
  {
    group: "system",
    name: "info",
    top: "info",
    description: "Show what this machine offers",
    load: () => import("./commands/system/info.ts"),
  },
  {
    group: "system",
    name: "doctor",
    top: "doctor",
    description: "Check whether this machine can run containers",
    load: () => import("./commands/system/doctor.ts"),
  },
  {
    name: "version",
    top: "version",
    description: "Show the version",
    load: () => import("./commands/system/version.ts"),
  },
  {
    name: "completion",
    top: "completion",
    description: "Print a shell's completion script",
    load: () => import("./commands/system/completion.ts"),
  },
];

/** The whole tree, for commands that describe it. */
export const TREE: CommandTree = { commands: COMMANDS, groups: GROUPS };

/** Commands of Docker's that are to come: they are not spelling mistakes. */
export const LATER_COMMANDS: ReadonlySet<string> = new Set(
  `attach build builder commit compose container cp create diff events exec export history inspect
  kill load login logout logs network pause port pull push rename restart save search start stats
  stop tag top unpause update volume wait`.split(/\s+/),
);

/** What the first words of a command line name. */
export type Lookup =
  | { readonly kind: "command"; readonly entry: CommandEntry; readonly rest: readonly string[] }
  | { readonly kind: "group"; readonly group: string; readonly rest: readonly string[] }
  | { readonly kind: "unknown"; readonly group?: string; readonly word: string };

/** @param words what follows the global options */
export function lookUp(words: readonly string[]): Lookup {
  const [first = "", second] = words;
  const entry = COMMANDS.find(({ top }) => top === first);
  if (entry !== undefined) return { kind: "command", entry, rest: words.slice(1) };
  if (!Object.hasOwn(GROUPS, first)) return { kind: "unknown", word: first };
  if (second === undefined || second.startsWith("-"))
    return { kind: "group", group: first, rest: words.slice(1) };
  const member = COMMANDS.find(
    ({ group, name, aliases }) =>
      group === first && (name === second || aliases?.includes(second) === true),
  );
  return member === undefined
    ? { kind: "unknown", group: first, word: second }
    : { kind: "command", entry: member, rest: words.slice(2) };
}

/** How a command is called in messages: `mydocker run`. */
export function commandPath({ group, name, top }: CommandEntry): string {
  return `mydocker ${top ?? (group === undefined ? name : `${group} ${name}`)}`;
}

/** The words that may follow `mydocker`, or `mydocker GROUP`. */
export function wordsAfter(group?: string): string[] {
  return group === undefined
    ? [...COMMANDS.flatMap(({ top }) => top ?? []), ...Object.keys(GROUPS)].sort()
    : COMMANDS.filter((entry) => entry.group === group).map(({ name }) => name);
}
