/** Completion for fish (complete(1)). */
import type { Completion } from "../option_table.ts";
import {
  type CompletedCommand,
  type CompletedOption,
  type CompletionModel,
  LISTINGS,
} from "./model.ts";

/** The whole script: for ~/.config/fish/completions/mydocker.fish. */
export function completionScript(model: CompletionModel): string {
  const groups = model.groups.map(([name]) => name);
  const lines = [
    `complete -c mydocker -f`,
    ...model.globals.map((option) => optionLine("", option)),
    ...model.words.map(([word, description]) => wordLine("", word, description)),
    ...model.groups.flatMap(([group, members]) =>
      members.map(([word, description]) => wordLine(group, word, description)),
    ),
    ...model.commands.flatMap(commandLines),
  ];
  return `# fish completion for mydocker: put it into ~/.config/fish/completions/mydocker.fish

# The command on the line, such as "container run"; empty before it is complete.
function __mydocker_command
    set -l found
    for word in (commandline -opc)[2..-1]
        string match -q -- '-*' $word; and continue
        if test (count $found) -eq 0; or begin
                test (count $found) -eq 1; and contains -- $found[1] ${groups.join(" ")}
            end
            set -a found $word
        end
    end
    string join ' ' $found
end

function __mydocker_at
    contains -- (__mydocker_command | string collect --allow-empty) $argv
end

${lines.join("\n")}
`;
}

const quote = (text: string): string => `'${text.replace(/['\\]/g, "\\$&")}'`;

const condition = (paths: readonly string[]): string =>
  `-n ${quote(`__mydocker_at ${paths.map(quote).join(" ")}`)}`;

function wordLine(group: string, word: string, description: string): string {
  return `complete -c mydocker ${condition([group])} -a ${quote(word)} -d ${quote(description)}`;
}

function commandLines({ paths, options, positional }: CompletedCommand): string[] {
  return [
    ...options.map((option) => optionLine(paths, option)),
    ...(positional === undefined
      ? []
      : [`complete -c mydocker ${condition(paths)} ${offer(positional)}`]),
  ];
}

function optionLine(paths: readonly string[] | "", option: CompletedOption): string {
  const { long, short, others, description, value } = option;
  const names = [
    ...(short === undefined ? [] : [`-s ${short}`]),
    `-l ${long}`,
    // "old-style": one dash, several letters
    ...others.map((name) =>
      name.startsWith("--") ? `-l ${name.slice(2)}` : `-o ${name.slice(1)}`,
    ),
  ];
  const argument =
    value === undefined
      ? ""
      : ` ${value.complete === undefined ? "-x" : valueOffer(value.complete)}`;
  const where = condition(paths === "" ? [""] : paths);
  return `complete -c mydocker ${where} ${names.join(" ")}${argument} -d ${quote(description)}`;
}

/** Files come with `-r`, anything else instead of them with `-x`. */
const valueOffer = (complete: Completion): string =>
  `${complete === "file" ? "-r" : "-x"} ${offer(complete)}`;

function offer(complete: Completion): string {
  switch (complete) {
    case "file":
      return "-F";
    case "directory":
      return `-a ${quote("(__fish_complete_directories)")}`;
    case "command":
      return `-a ${quote("(__fish_complete_command)")}`;
    case "container":
    case "image":
    case "volume":
      return `-a ${quote(`(${LISTINGS[complete]} 2>/dev/null)`)}`;
    default:
      return `-a ${quote(complete.join(" "))}`;
  }
}
