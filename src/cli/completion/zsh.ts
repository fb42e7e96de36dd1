/** Completion for zsh (zshcompsys(1)), by _arguments. */
import type { Completion } from "../option_table.ts";
import {
  type CompletedCommand,
  type CompletedOption,
  type CompletionModel,
  LISTINGS,
  shellQuote,
  spellings,
} from "./model.ts";

/** The whole script: a file for a directory of $fpath, also to be sourced after compinit. */
export function completionScript(model: CompletionModel): string {
  return `#compdef mydocker
# zsh completion for mydocker: put it into a directory of $fpath as _mydocker

_mydocker_list() {
  local -a found
  found=(\${(f)"$(eval $2 2>/dev/null)"})
  # Colons separate a word from its description.
  _describe $1 "(\${(q)found//:/\\\\:})" 2>/dev/null || compadd -a found
}
_mydocker_container() { _mydocker_list container ${shellQuote(LISTINGS.container)} }
_mydocker_image() { _mydocker_list image ${shellQuote(LISTINGS.image)} }
_mydocker_volume() { _mydocker_list volume ${shellQuote(LISTINGS.volume)} }

${model.commands.map(commandFunction).join("\n")}
${model.groups
  .map(([name, members]) =>
    chooser(
      `_mydocker_group_${name}`,
      [],
      members,
      members.map(([member]) => [member, `${name} ${member}`]),
      model,
    ),
  )
  .join("\n")}
${chooser(
  "_mydocker",
  model.globals,
  model.words,
  model.words.map(([word]) => [word, word]),
  model,
)}
if [[ \${funcstack[1]} == _mydocker ]]; then
  _mydocker "$@"
else
  compdef _mydocker mydocker
fi
`;
}

/** A function that completes a word out of several, and goes on with that word's own. */
function chooser(
  name: string,
  options: readonly CompletedOption[],
  words: readonly (readonly [string, string])[],
  targets: readonly (readonly [word: string, path: string])[],
  model: CompletionModel,
): string {
  const described = words.map(([word, description]) =>
    shellQuote(`${word}:${description.replaceAll(":", "\\:")}`),
  );
  return `${name}() {
  local curcontext=$curcontext state line
  local -a words_here=(${described.join(" ")})
  _arguments -C ${[...options.map(optionSpec), shellQuote("1: :->word"), shellQuote("*:: :->rest")].join(" \\\n    ")}
  case $state in
    word) _describe command words_here ;;
    rest)
      case $words[1] in
${targets.map(([word, path]) => `        ${word}) ${functionOf(path, model)} ;;`).join("\n")}
      esac ;;
  esac
}`;
}

function functionOf(path: string, model: CompletionModel): string {
  const command = model.commands.find(({ paths }) => paths.includes(path));
  return command === undefined ? `_mydocker_group_${path}` : commandName(command);
}

const commandName = ({ paths }: CompletedCommand): string =>
  `_mydocker_command_${(paths[0] ?? "").replaceAll(" ", "_")}`;

function commandFunction(command: CompletedCommand): string {
  const { options, positional, stopAtPositional } = command;
  const specs = options.map(optionSpec);
  if (stopAtPositional)
    specs.push(shellQuote(`1: :${action(positional)}`), shellQuote("*:: :_normal"));
  else if (positional !== undefined) specs.push(shellQuote(`*: :${action(positional)}`));
  return `${commandName(command)}() {
  _arguments -s ${stopAtPositional ? "-A '-*' " : ""}\\
    ${specs.join(" \\\n    ")}
}`;
}

/** `'(-m --memory)'{-m,--memory}'[description]:value:action'`. */
function optionSpec(option: CompletedOption): string {
  const { description, repeated, value } = option;
  const names = spellings(option);
  const text = `[${description.replace(/[[\]\\:]/g, "\\$&")}]`;
  const rest =
    value === undefined ? "" : `:${value.name.replaceAll(":", "\\:")}:${action(value.complete)}`;
  const forms = names.map((name) =>
    shellQuote(`${value !== undefined && name.startsWith("--") ? `${name}=` : name}${text}${rest}`),
  );
  const exclusion = repeated ? shellQuote("*") : shellQuote(`(${names.join(" ")})`);
  return forms.map((form) => `${exclusion}${form}`).join(" ");
}

function action(complete: Completion | undefined): string {
  switch (complete) {
    case undefined:
      return " ";
    case "file":
      return "_files";
    case "directory":
      return "_files -/";
    case "command":
      return "_command_names -e";
    case "container":
    case "image":
    case "volume":
      return `_mydocker_${complete}`;
    default:
      return `(${complete.join(" ")})`;
  }
}
