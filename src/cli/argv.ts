/**
 * Parses a command's options as Docker does (github.com/spf13/pflag), with its wording of errors.
 *
 * Why not `node:util` or citty: both accept what Docker refuses, and neither stops at the image.
 */
import { UsageError } from "../errors.ts";
import { quote } from "../quote.ts";
import { type Option, type OptionTable, optionLabel, type Values } from "./option_table.ts";

/** Where options end, and which of them are only known by name. */
export interface ParseRules {
  /** Options end at the first positional: what follows belongs to the container's command. */
  readonly stopAtPositional?: boolean;
  /**
   * Options of Docker's that this version does not have: long name to its letter, or "". They are
   * refused by their name, because "unknown flag" would send people looking for a spelling mistake.
   */
  readonly later?: Readonly<Record<string, string>>;
}

/** A command line that the table allows. */
export interface ParsedCommandLine<T extends OptionTable> {
  readonly values: Values<T>;
  readonly positionals: readonly string[];
  /** Long names of the options that were given. */
  readonly given: ReadonlySet<string>;
  /** `--help` was among the options. */
  readonly help: boolean;
}

/** Words that Go's strconv.ParseBool takes. */
const BOOLEANS: Readonly<Record<string, boolean>> = {
  1: true,
  t: true,
  T: true,
  true: true,
  True: true,
  TRUE: true,
  0: false,
  f: false,
  F: false,
  false: false,
  False: false,
  FALSE: false,
};

/** @throws {UsageError} for anything the table does not allow */
export function parseCommandLine<const T extends OptionTable>(
  table: T,
  args: readonly string[],
  rules: ParseRules = {},
): ParsedCommandLine<T> {
  const parser = new Parser(table, rules);
  parser.parse(args);
  parser.checkConflicts();
  return {
    // The parser fills exactly what Values<T> says of the table, which the compiler cannot see.
    values: parser.values as Values<T>,
    positionals: parser.positionals,
    given: parser.given,
    help: parser.help,
  };
}

class Parser {
  readonly values: Record<string, unknown> = {};
  readonly positionals: string[] = [];
  readonly given = new Set<string>();
  help = false;
  #rest: readonly string[] = [];
  #at = 0;
  readonly #long = new Map<string, string>();
  readonly #short = new Map<string, string>();
  readonly #seed = new Map<string, string>();

  constructor(
    readonly table: OptionTable,
    readonly rules: ParseRules,
  ) {
    for (const [name, option] of Object.entries(table)) {
      this.#long.set(name, name);
      if (option.alias !== undefined) this.#long.set(option.alias, name);
      if (option.short !== undefined) this.#short.set(option.short, name);
      if (option.seed !== undefined) this.#seed.set(option.seed, name);
      if (option.type === "boolean") this.values[name] = option.default ?? false;
      else if (option.type === "list") this.values[name] = [];
    }
  }

  parse(args: readonly string[]): void {
    this.#rest = args;
    while (this.#at < args.length) {
      const arg = args[this.#at++] as string;
      if (arg === "--") {
        this.positionals.push(...args.slice(this.#at));
        return;
      }
      if (!arg.startsWith("-") || arg === "-") {
        this.positionals.push(arg);
        if (!this.rules.stopAtPositional) continue;
        this.positionals.push(...args.slice(this.#at));
        return;
      }
      if (arg.startsWith("--")) this.#parseLong(arg);
      else if (!this.#parseSeed(arg)) this.#parseShort(arg.slice(1));
    }
  }

  checkConflicts(): void {
    for (const name of this.given) {
      for (const other of this.table[name]?.conflicts ?? []) {
        if (this.given.has(other))
          throw new UsageError(`Conflicting options: --${name} and --${other}`);
      }
    }
  }

  #parseLong(arg: string): void {
    const body = arg.slice(2);
    if (body === "" || body.startsWith("-") || body.startsWith("="))
      throw new UsageError(`bad flag syntax: ${arg}`);
    const { key, value } = splitValue(body);
    if (key === "help" && !this.#long.has("help")) {
      this.help = value === undefined || parseBoolean("help", undefined, value);
      return;
    }
    const name = this.#long.get(key);
    if (name === undefined) {
      if (Object.hasOwn(this.rules.later ?? {}, key)) throw notYet(key, this.rules.later?.[key]);
      throw new UsageError(`unknown flag: --${key}`);
    }
    this.#set(name, value, `--${key}`);
  }

  /** `-mem 64m` and `-mem=64m`, before they are taken for `-m em`. */
  #parseSeed(arg: string): boolean {
    const { key, value } = splitValue(arg.slice(1));
    const name = this.#seed.get(key);
    if (name === undefined) return false;
    this.#set(name, value, `-${key}`);
    return true;
  }

  #parseShort(cluster: string): void {
    let rest = cluster;
    while (rest !== "") {
      const letter = String.fromCodePoint(rest.codePointAt(0) as number);
      const tail = rest.slice(letter.length);
      const name = this.#short.get(letter);
      if (name === undefined) {
        const later = Object.entries(this.rules.later ?? {}).find(([, short]) => short === letter);
        if (later !== undefined) throw notYet(...later);
        throw new UsageError(`unknown shorthand flag: '${letter}' in -${rest}`);
      }
      const missing = `'${letter}' in -${rest}`;
      // "-e=" is the value "=": pflag asks for something behind the sign.
      if (tail.length > 1 && tail.startsWith("=")) return this.#set(name, tail.slice(1), missing);
      if (this.table[name]?.type !== "boolean")
        return this.#set(name, tail === "" ? undefined : tail, missing);
      this.#set(name, undefined, missing);
      rest = tail;
    }
  }

  /** @param value undefined when none was attached: then it is the next argument, or true */
  #set(name: string, value: string | undefined, spelling: string): void {
    const option = this.table[name] as Option;
    this.given.add(name);
    if (option.type === "boolean") {
      this.values[name] = value === undefined || parseBoolean(name, option, value);
      return;
    }
    const text = value ?? this.#rest[this.#at++];
    if (text === undefined) throw new UsageError(`flag needs an argument: ${spelling}`);
    if (option.type === "value" && option.unsetByEmpty && text === "") {
      delete this.values[name];
      return;
    }
    const result = parseValue(name, option, text);
    if (option.type === "list") (this.values[name] as unknown[]).push(result);
    else this.values[name] = result;
  }
}

function splitValue(body: string): { key: string; value?: string } {
  const sign = body.indexOf("=");
  return sign < 0 ? { key: body } : { key: body.slice(0, sign), value: body.slice(sign + 1) };
}

function parseBoolean(name: string, option: Option | undefined, text: string): boolean {
  const value = Object.hasOwn(BOOLEANS, text) ? BOOLEANS[text] : undefined;
  if (value !== undefined) return value;
  throw invalidArgument(
    name,
    option,
    text,
    `strconv.ParseBool: parsing ${quote(text)}: invalid syntax`,
  );
}

function parseValue(
  name: string,
  option: Exclude<Option, { type: "boolean" }>,
  text: string,
): unknown {
  if (option.parse === undefined) return text;
  try {
    return option.parse(text);
  } catch (error) {
    if (error instanceof UsageError) throw invalidArgument(name, option, text, error.message);
    throw error;
  }
}

function invalidArgument(
  name: string,
  option: Option | undefined,
  text: string,
  problem: string,
): UsageError {
  return new UsageError(
    `invalid argument ${quote(text)} for "${optionLabel(name, option)}" flag: ${problem}`,
  );
}

function notYet(name: string, short = ""): UsageError {
  const label = short === "" ? `--${name}` : `-${short}, --${name}`;
  return new UsageError(`${label} is not supported by this version yet`);
}
