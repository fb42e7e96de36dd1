import { describe, expect, test } from "bun:test";
import { UsageError } from "../errors.ts";
import { parseCommandLine } from "./argv.ts";
import type { OptionTable } from "./option_table.ts";
import { parseInteger } from "./values/number.ts";

const TABLE = {
  interactive: { type: "boolean", short: "i", description: "" },
  tty: { type: "boolean", short: "t", description: "" },
  "sig-proxy": { type: "boolean", default: true, description: "" },
  env: { type: "list", short: "e", value: "v", description: "" },
  memory: { type: "value", short: "m", seed: "mem", value: "bytes", description: "" },
  network: { type: "value", alias: "net", seed: "net", value: "n", description: "" },
  name: { type: "value", seed: "name", value: "n", description: "" },
  hostname: { type: "value", short: "h", value: "n", description: "" },
  shares: { type: "value", short: "c", value: "n", description: "", parse: parseInteger },
  quota: { type: "value", value: "n", description: "", conflicts: ["shares"] },
} as const satisfies OptionTable;

const parse = (...args: string[]) =>
  parseCommandLine(TABLE, args, { stopAtPositional: true, later: { detach: "d", dns: "" } });

/** What was given, without what is as it is by default. */
function given(...args: string[]): Record<string, unknown> {
  const { values, given } = parse(...args);
  return Object.fromEntries(Object.entries(values).filter(([name]) => given.has(name)));
}

describe("spellings", () => {
  test.each<[string[], Record<string, unknown>]>([
    [[], {}],
    [["-it"], { interactive: true, tty: true }],
    [["-i", "-t"], { interactive: true, tty: true }],
    [["--interactive=false"], { interactive: false }],
    [["-i=false"], { interactive: false }],
    [["--sig-proxy=0"], { "sig-proxy": false }],
    [
      ["-e", "A=1", "-eB=2", "-e=C=3", "--env", "D=4", "--env=E=5"],
      { env: ["A=1", "B=2", "C=3", "D=4", "E=5"] },
    ],
    [["-e", ""], { env: [""] }],
    [["-e="], { env: ["="] }],
    [["-m64m"], { memory: "64m" }],
    [["-m=64m"], { memory: "64m" }],
    [["-m", "1", "--memory", "2"], { memory: "2" }],
    [["-itm", "64m"], { interactive: true, tty: true, memory: "64m" }],
    [["-tm64m"], { tty: true, memory: "64m" }],
    [["-mem", "64m"], { memory: "64m" }],
    [["-mem=64m"], { memory: "64m" }],
    [["-memory"], { memory: "emory" }],
    [["-name", "x"], { name: "x" }],
    [["-net=none"], { network: "none" }],
    [["--net", "none"], { network: "none" }],
    [["--name", "--tty"], { name: "--tty" }],
    [["--name="], { name: "" }],
    [["-h", "box"], { hostname: "box" }],
    [["-c", "512"], { shares: 512 }],
    [["-c", "-1"], { shares: -1 }],
  ])("%j", (args, values) => {
    expect(given(...args)).toEqual(values);
  });

  test("a list that is not given is empty, a switch off, a value undefined", () => {
    const { values } = parse();
    expect(values.env).toEqual([]);
    expect(values.tty).toBe(false);
    expect(values["sig-proxy"]).toBe(true);
    expect(values.memory).toBeUndefined();
  });
});

describe("positionals", () => {
  test("options end at the first positional where that is the rule", () => {
    const { values, positionals } = parse("-i", "alpine", "sh", "-t", "--help", "--", "-x");
    expect(positionals).toEqual(["alpine", "sh", "-t", "--help", "--", "-x"]);
    expect(values.tty).toBe(false);
  });

  test("elsewhere options may follow them", () => {
    const { values, positionals } = parseCommandLine(TABLE, ["a", "-t", "b", "--", "-i"]);
    expect(positionals).toEqual(["a", "b", "-i"]);
    expect(values.tty).toBe(true);
    expect(values.interactive).toBe(false);
  });

  test("-- ends the options, and what follows is kept as it is", () => {
    expect(parse("-t", "--", "-i", "--").positionals).toEqual(["-i", "--"]);
  });

  test("a lone dash is a positional, and so is an empty argument", () => {
    expect(parse("-", "-t").positionals).toEqual(["-", "-t"]);
    expect(parse("", "-t").positionals).toEqual(["", "-t"]);
  });

  test("bytes that are not UTF-8 come through", () => {
    expect(given("-e", "A=\udcff", "--name=\udc80")).toEqual({ env: ["A=\udcff"], name: "\udc80" });
  });
});

test("only --help asks for help", () => {
  expect(parse("--help").help).toBe(true);
  expect(parse("--help=false").help).toBe(false);
  expect(parse("-h", "x").help).toBe(false);
  expect(() => parseCommandLine({}, ["-h"])).toThrow("unknown shorthand flag: 'h' in -h");
});

test("names of JavaScript's own objects are no options", () => {
  for (const name of ["constructor", "__proto__", "toString"]) {
    expect(() => parse(`--${name}`)).toThrow(`unknown flag: --${name}`);
    expect(() => parse(`--tty=${name}`)).toThrow("invalid argument");
  }
});

describe("errors in Docker's words", () => {
  test.each<[string[], string]>([
    [["--x"], "unknown flag: --x"],
    [["--x=1"], "unknown flag: --x"],
    [["--mem", "1"], "unknown flag: --mem"],
    [["--i"], "unknown flag: --i"],
    [["-X"], "unknown shorthand flag: 'X' in -X"],
    [["-itX"], "unknown shorthand flag: 'X' in -X"],
    [["-iXt"], "unknown shorthand flag: 'X' in -Xt"],
    [["-é"], "unknown shorthand flag: 'é' in -é"],
    [["---x"], "bad flag syntax: ---x"],
    [["--=x"], "bad flag syntax: --=x"],
    [["--name"], "flag needs an argument: --name"],
    [["-m"], "flag needs an argument: 'm' in -m"],
    [["-itm"], "flag needs an argument: 'm' in -m"],
    [["-mem"], "flag needs an argument: -mem"],
    [
      ["--tty=foo"],
      'invalid argument "foo" for "-t, --tty" flag: strconv.ParseBool: parsing "foo": invalid syntax',
    ],
    [
      ["--sig-proxy="],
      'invalid argument "" for "--sig-proxy" flag: strconv.ParseBool: parsing "": invalid syntax',
    ],
    [
      ["-c", "ab\udcff"],
      'invalid argument "ab\\xff" for "-c, --shares" flag: strconv.ParseInt: parsing "ab\\xff": invalid syntax',
    ],
    [["--quota", "1", "-c", "1"], "Conflicting options: --quota and --shares"],
    [["--detach"], "-d, --detach is not supported by this version yet"],
    [["-itd"], "-d, --detach is not supported by this version yet"],
    [["--dns", "1.1.1.1"], "--dns is not supported by this version yet"],
  ])("%j", (args, message) => {
    expect(() => parse(...args)).toThrow(new UsageError(message));
  });
});
