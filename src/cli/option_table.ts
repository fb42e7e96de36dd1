/** The shape of a command's option table: parsing, help and completion are all made from it. */

/** What a shell offers for a value: a kind of thing, or the words themselves. */
export type Completion =
  | "file"
  | "directory"
  | "container"
  | "image"
  | "volume"
  | "command"
  | readonly string[];

interface OptionBase {
  /** One letter, without the dash. */
  readonly short?: string;
  /** Another long spelling, without the dashes. */
  readonly alias?: string;
  /** A spelling with one dash and more than one letter, without the dash: `mem` for `-mem 64m`. */
  readonly seed?: string;
  readonly description: string;
  /** Left out of help and completion. */
  readonly hidden?: boolean;
  /** Long names of options that exclude this one. */
  readonly conflicts?: readonly string[];
}

/** `--init`, also `--init=false`. */
export interface BooleanOption extends OptionBase {
  readonly type: "boolean";
  /** false unless given */
  readonly default?: boolean;
}

interface ValueBase extends OptionBase {
  /** What stands for the value in the help: `bytes`. */
  readonly value: string;
  /** Judges and translates the value; throws a UsageError that says what is wrong with it. */
  readonly parse?: (text: string) => unknown;
  readonly complete?: Completion;
}

/** `--name x`; when it is repeated the last one counts. */
export interface ValueOption extends ValueBase {
  readonly type: "value";
  /** An empty value, as of an unset variable in a script, is as good as no option. */
  readonly unsetByEmpty?: boolean;
}

/** `-e A=1 -e B=2`: every one counts, in the order given. */
export interface ListOption extends ValueBase {
  readonly type: "list";
}

/** Any of the three kinds; `type` tells which. */
export type Option = BooleanOption | ValueOption | ListOption;

/** Options by long name, without the dashes. */
export type OptionTable = Readonly<Record<string, Option>>;

type Parsed<O> = O extends { readonly parse: (text: string) => infer R } ? R : string;

/** What a table's options come out as. */
export type Values<T extends OptionTable> = {
  readonly [K in keyof T]: T[K] extends BooleanOption
    ? boolean
    : T[K] extends ListOption
      ? readonly Parsed<T[K]>[]
      : Parsed<T[K]> | undefined;
};

/** How Docker names an option in its errors: `-m, --memory`. */
export function optionLabel(name: string, option: Pick<OptionBase, "short"> | undefined): string {
  return option?.short === undefined ? `--${name}` : `-${option.short}, --${name}`;
}
