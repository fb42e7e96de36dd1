/** Completion for bash (bash(1), Programmable Completion). Needs nothing but bash 4. */
import type { Completion } from "../option_table.ts";
import { type CompletedCommand, type CompletionModel, LISTINGS, spellings } from "./model.ts";

/** The whole script. */
export function completionScript(model: CompletionModel): string {
  const groups = model.groups.map(([name]) => name).join("|");
  return `# bash completion for mydocker: source it, or put it into /etc/bash_completion.d

_mydocker() {
  # The line is cut at blanks only: COMP_WORDS is cut at ":" and "=" as well.
  local line=\${COMP_LINE:0:COMP_POINT} cur prev command='' option='' kind='' positionals=0 word index
  local -a words
  read -ra words <<<"$line"
  [[ $line == *[[:blank:]] ]] && words+=('')
  cur=\${words[-1]} prev=''
  COMPREPLY=()

  for ((index = 1; index < \${#words[@]} - 1; index++)); do
    word=\${words[index]}
    if [[ -n $prev ]]; then
      prev=''
    elif [[ $word == -* ]]; then
      [[ $word != *=* ]] && _mydocker_kind "$command" "$word" && prev=$word
    elif [[ -z $command ]]; then
      command=$word
    elif [[ $command == @(${groups}) ]]; then
      command+=" $word"
    else
      ((positionals++))
      _mydocker_stops "$command" && break
    fi
  done

  if ((positionals > 0)) && _mydocker_stops "$command"; then
    compopt -o default
    return
  fi
  if [[ -n $prev ]]; then
    option=$prev
  elif [[ $cur == -*=* ]]; then
    option=\${cur%%=*} cur=\${cur#*=}
  fi
  if [[ -n $option ]]; then
    _mydocker_kind "$command" "$option"
  elif [[ $cur == -* ]]; then
    _mydocker_options "$command"
  else
    _mydocker_positional "$command"
  fi
  _mydocker_offer "$cur" "$kind"
}

# Offers what a kind of thing has that begins with $1.
_mydocker_offer() {
  local cut
  case $2 in
    file) compopt -o filenames; mapfile -t COMPREPLY < <(compgen -f -- "$1") ;;
    directory) compopt -o filenames; mapfile -t COMPREPLY < <(compgen -d -- "$1") ;;
    command) mapfile -t COMPREPLY < <(compgen -c -- "$1") ;;
    container) mapfile -t COMPREPLY < <(compgen -W "$(${LISTINGS.container} 2>/dev/null)" -- "$1") ;;
    image) mapfile -t COMPREPLY < <(compgen -W "$(${LISTINGS.image} 2>/dev/null)" -- "$1") ;;
    volume) mapfile -t COMPREPLY < <(compgen -W "$(${LISTINGS.volume} 2>/dev/null)" -- "$1") ;;
    words:*) mapfile -t COMPREPLY < <(compgen -W "\${2#words:}" -- "$1") ;;
  esac
  # What readline takes for the word begins behind the last colon.
  if [[ $1 == *:* && $COMP_WORDBREAKS == *:* ]]; then
    cut=\${1%"\${1##*:}"}
    COMPREPLY=("\${COMPREPLY[@]#"$cut"}")
  fi
}

# Sets kind to what an option's value is; fails when it has none.
_mydocker_kind() {
  case "$1:$2" in
${lines(model.commands.flatMap(valueCases))}
    *) return 1 ;;
  esac
}

_mydocker_options() {
  case "$1" in
    '') kind=${quoteWords(model.globals.flatMap(spellings))} ;;
${lines(
  model.commands.map(
    (command) =>
      `    ${pattern(command.paths)}) kind=${quoteWords(command.options.flatMap(spellings))} ;;`,
  ),
)}
    *) kind='words:--help' ;;
  esac
}

_mydocker_positional() {
  case "$1" in
    '') kind=${quoteWords(model.words.map(([word]) => word))} ;;
${lines(
  model.groups.map(
    ([name, members]) => `    ${name}) kind=${quoteWords(members.map(([member]) => member))} ;;`,
  ),
)}
${lines(
  model.commands.map(({ paths, positional }) =>
    positional === undefined ? "" : `    ${pattern(paths)}) kind=${kindOf(positional)} ;;`,
  ),
)}
  esac
}

# Whether what follows the first positional is another command's.
_mydocker_stops() {
  case "$1" in
${lines(
  model.commands.map(({ paths, stopAtPositional }) =>
    stopAtPositional ? `    ${pattern(paths)}) return 0 ;;` : "",
  ),
)}
    *) return 1 ;;
  esac
}

complete -F _mydocker mydocker
`;
}

const lines = (texts: readonly string[]): string => texts.filter((text) => text !== "").join("\n");

const pattern = (words: readonly string[]): string => words.map((word) => `'${word}'`).join(" | ");

const quoteWords = (words: readonly string[]): string => `'words:${words.join(" ")}'`;

function kindOf(complete: Completion): string {
  return typeof complete === "string" ? complete : quoteWords(complete);
}

function valueCases({ paths, options }: CompletedCommand): string[] {
  return options.flatMap((option) => {
    if (option.value === undefined) return [];
    const keys = paths.flatMap((path) => spellings(option).map((name) => `${path}:${name}`));
    const { complete } = option.value;
    return [
      `    ${pattern(keys)}) kind=${complete === undefined ? "nothing" : kindOf(complete)} ;;`,
    ];
  });
}
