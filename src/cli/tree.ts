/** The command tree, a table: every command under each of its names, loaded when it is called. */
import type { CommandEntry, CommandTree } from "./command.ts";

/** What each group of commands is for. */
export const GROUPS: Readonly<Record<string, string>> = {
  container: "Manage containers",
  image: "Manage images",
  manifest: "Look at manifests at registries",
  network: "Manage networks",
  system: "Manage mydocker",
  volume: "Manage volumes",
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
    group: "container",
    name: "create",
    top: "create",
    description: "Make a new container without starting it",
    load: () => import("./commands/container/create.ts"),
  },
  {
    group: "container",
    name: "start",
    top: "start",
    description: "Start one or more containers in the background",
    load: () => import("./commands/container/start.ts"),
  },
  {
    group: "container",
    name: "stop",
    top: "stop",
    description: "Ask one or more containers to end, and kill them if they do not",
    load: () => import("./commands/container/stop.ts"),
  },
  {
    group: "container",
    name: "restart",
    top: "restart",
    description: "Stop one or more containers and start them again",
    load: () => import("./commands/container/restart.ts"),
  },
  {
    group: "container",
    name: "kill",
    top: "kill",
    description: "Send a signal to one or more containers",
    load: () => import("./commands/container/kill.ts"),
  },
  {
    group: "container",
    name: "pause",
    top: "pause",
    description: "Stop all processes of one or more containers from running",
    load: () => import("./commands/container/pause.ts"),
  },
  {
    group: "container",
    name: "unpause",
    top: "unpause",
    description: "Let the processes of one or more paused containers go on",
    load: () => import("./commands/container/unpause.ts"),
  },
  {
    group: "container",
    name: "wait",
    top: "wait",
    description: "Wait until containers end, and print their exit codes",
    load: () => import("./commands/container/wait.ts"),
  },
  {
    group: "container",
    name: "rename",
    top: "rename",
    description: "Give a container another name",
    load: () => import("./commands/container/rename.ts"),
  },
  {
    group: "container",
    name: "update",
    top: "update",
    description: "Change the limits or the restart policy of one or more containers",
    load: () => import("./commands/container/update.ts"),
  },
  {
    group: "container",
    name: "logs",
    top: "logs",
    description: "Show what a container wrote",
    load: () => import("./commands/container/logs.ts"),
  },
  {
    group: "container",
    name: "exec",
    top: "exec",
    description: "Run a command in a container that runs",
    load: () => import("./commands/container/exec.ts"),
  },
  {
    group: "container",
    name: "attach",
    top: "attach",
    description: "Attach to a container that runs in the background",
    load: () => import("./commands/container/attach.ts"),
  },
  {
    group: "container",
    name: "inspect",
    top: "inspect",
    description: "Show what is known of one or more containers, as JSON",
    load: () => import("./commands/container/inspect.ts"),
  },
  {
    group: "container",
    name: "cp",
    top: "cp",
    description: "Copy files into a container, or out of one",
    load: () => import("./commands/container/cp.ts"),
  },
  {
    group: "container",
    name: "diff",
    top: "diff",
    description: "Show what a container changed in its file system",
    load: () => import("./commands/container/diff.ts"),
  },
  {
    group: "container",
    name: "export",
    top: "export",
    description: "Write a container's root file system as a tar archive",
    load: () => import("./commands/container/export.ts"),
  },
  {
    group: "container",
    name: "commit",
    top: "commit",
    description: "Make an image of what a container changed",
    load: () => import("./commands/container/commit.ts"),
  },
  {
    group: "container",
    name: "stats",
    top: "stats",
    description: "Show what containers use: processors, memory, network, block devices",
    load: () => import("./commands/container/stats.ts"),
  },
  {
    group: "container",
    name: "port",
    top: "port",
    description: "List the published ports of a container",
    load: () => import("./commands/container/port.ts"),
  },
  {
    group: "container",
    name: "top",
    top: "top",
    description: "Show the processes of a container",
    load: () => import("./commands/container/top.ts"),
  },
  {
    group: "container",
    name: "prune",
    description: "Remove all containers that do not run",
    load: () => import("./commands/container/prune.ts"),
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
    name: "tag",
    top: "tag",
    description: "Give an image one more name",
    load: () => import("./commands/image/tag.ts"),
  },
  {
    group: "image",
    name: "inspect",
    description: "Show what is known of one or more images, as JSON",
    load: () => import("./commands/image/inspect.ts"),
  },
  {
    group: "image",
    name: "history",
    top: "history",
    description: "Show how an image's layers came to be",
    load: () => import("./commands/image/history.ts"),
  },
  {
    group: "image",
    name: "pull",
    top: "pull",
    description: "Download an image from a registry",
    load: () => import("./commands/image/pull.ts"),
  },
  {
    group: "image",
    name: "push",
    top: "push",
    description: "Upload an image to a registry",
    load: () => import("./commands/image/push.ts"),
  },
  {
    group: "image",
    name: "search",
    top: "search",
    description: "Look for images on Docker Hub, or at a registry that can be searched",
    load: () => import("./commands/image/search.ts"),
  },
  {
    group: "manifest",
    name: "inspect",
    description: "Show the manifest that a registry has for a name",
    load: () => import("./commands/manifest/inspect.ts"),
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
    name: "load",
    top: "load",
    description: "Load the images of an archive",
    load: () => import("./commands/image/load.ts"),
  },
  {
    group: "image",
    name: "verify",
    description: "Read again all that is stored of images, and compare it with its digests",
    load: () => import("./commands/image/verify.ts"),
  },
  {
    group: "image",
    name: "save",
    top: "save",
    description: "Write one or more images to an archive",
    load: () => import("./commands/image/save.ts"),
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
    group: "image",
    name: "prune",
    description: "Remove images that nobody uses",
    load: () => import("./commands/image/prune.ts"),
  },
  {
    group: "network",
    name: "create",
    description: "Make a network",
    load: () => import("./commands/network/create.ts"),
  },
  {
    group: "network",
    name: "ls",
    aliases: ["list"],
    description: "List networks",
    load: () => import("./commands/network/ls.ts"),
  },
  {
    group: "network",
    name: "inspect",
    description: "Show what is known of one or more networks, as JSON",
    load: () => import("./commands/network/inspect.ts"),
  },
  {
    group: "network",
    name: "connect",
    description: "Connect a container to a network",
    load: () => import("./commands/network/connect.ts"),
  },
  {
    group: "network",
    name: "disconnect",
    description: "Disconnect a container from a network",
    load: () => import("./commands/network/disconnect.ts"),
  },
  {
    group: "network",
    name: "rm",
    aliases: ["remove"],
    description: "Remove one or more networks",
    load: () => import("./commands/network/rm.ts"),
  },
  {
    group: "network",
    name: "prune",
    description: "Remove networks that no container is on",
    load: () => import("./commands/network/prune.ts"),
  },
  {
    group: "volume",
    name: "create",
    description: "Make a volume",
    load: () => import("./commands/volume/create.ts"),
  },
  {
    group: "volume",
    name: "ls",
    aliases: ["list"],
    description: "List volumes",
    load: () => import("./commands/volume/ls.ts"),
  },
  {
    group: "volume",
    name: "inspect",
    description: "Show what is known of one or more volumes, as JSON",
    load: () => import("./commands/volume/inspect.ts"),
  },
  {
    group: "volume",
    name: "rm",
    aliases: ["remove"],
    description: "Remove one or more volumes",
    load: () => import("./commands/volume/rm.ts"),
  },
  {
    group: "volume",
    name: "prune",
    description: "Remove volumes that no container has",
    load: () => import("./commands/volume/prune.ts"),
  },
  {
    group: "system",
    name: "info",
    top: "info",
    description: "Show what this machine offers",
    load: () => import("./commands/system/info.ts"),
  },
  {
    name: "login",
    top: "login",
    description: "Log in to a registry",
    load: () => import("./commands/system/login.ts"),
  },
  {
    name: "logout",
    top: "logout",
    description: "Log out from a registry",
    load: () => import("./commands/system/logout.ts"),
  },
  {
    group: "system",
    name: "events",
    top: "events",
    description: "Show what happens, and what has happened",
    load: () => import("./commands/system/events.ts"),
  },
  {
    group: "system",
    name: "doctor",
    top: "doctor",
    description: "Check whether this machine can run containers",
    load: () => import("./commands/system/doctor.ts"),
  },
  {
    group: "system",
    name: "boot",
    description: "Start the containers that are to run after a boot",
    load: () => import("./commands/system/boot.ts"),
  },
  {
    group: "system",
    name: "shutdown",
    description: "Stop all containers until the next boot",
    load: () => import("./commands/system/shutdown.ts"),
  },
  {
    group: "system",
    name: "unit",
    description: "Print a systemd unit that starts containers at boot",
    load: () => import("./commands/system/unit.ts"),
  },
  {
    group: "system",
    name: "df",
    description: "Show what images, containers and volumes take",
    load: () => import("./commands/system/df.ts"),
  },
  {
    group: "system",
    name: "prune",
    description: "Remove what nobody uses",
    load: () => import("./commands/system/prune.ts"),
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
export const LATER_COMMANDS: ReadonlySet<string> = new Set(["build", "builder", "compose"]);

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
