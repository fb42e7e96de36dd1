/** The command line: finds the command, has it parse its arguments, runs it, and says what went wrong. */
import { MydockerError } from "../errors.ts";
import { parseCommandLine } from "./argv.ts";
import { type CommandEntry, seeHelp } from "./command.ts";
import { GLOBAL_OPTIONS } from "./global_table.ts";
import { print } from "./output.ts";
import { commandPath, type Lookup, lookUp, TREE } from "./tree.ts";

/**
 * @param args as Bun knows them, without the program's name
 * @returns the exit code
 */
export async function main(args: readonly string[]): Promise<number> {
  const called: Called = { failureCode: 1 };
  try {
    return await dispatch(await exactBytes(args), called);
  } catch (error) {
    const { reportError } = await import("./report.ts");
    return reportError(error, called.failureCode);
  }
}

/** What the command that is running makes of errors. */
interface Called {
  failureCode: number;
}

/** Bun turns bytes that are not UTF-8 into U+FFFD: where there is one, the kernel is asked. */
async function exactBytes(args: readonly string[]): Promise<readonly string[]> {
  if (!args.some((arg) => arg.includes("\ufffd"))) return args;
  const { readFile } = await import("../linux/file.ts");
  return readFile("/proc/self/cmdline").split("\0").slice(0, -1).slice(-args.length);
}

async function dispatch(args: readonly string[], called: Called): Promise<number> {
  const global = parseGlobals(args);
  if (global.values.debug) await enableDebug();
  if (global.help || (global.positionals.length === 0 && !global.values.version))
    return await showHelp();
  if (global.values.version) {
    const { versionLine } = await import("./version_text.ts");
    await print(versionLine());
    return 0;
  }
  if (global.positionals[0] === "help") return await explain(global.positionals.slice(1));
  const found = lookUp(global.positionals);
  if (found.kind === "unknown") return await refuse(found);
  if (found.kind === "group") {
    at(`mydocker ${found.group}`, () => parseCommandLine({}, found.rest));
    return await showHelp(found.group);
  }
  const path = commandPath(found.entry);
  const { command } = await found.entry.load();
  called.failureCode = command.failureCode;
  const run = at(path, () => command.prepare(found.rest, path, TREE));
  if (run === undefined) return await showCommandHelp(found.entry);
  return (await at(path, run)) ?? 0;
}

/** `mydocker help [COMMAND]`, another spelling of `--help`. */
async function explain(words: readonly string[]): Promise<number> {
  if (words.length === 0) return await showHelp();
  const found = lookUp(words);
  if (found.kind === "unknown") return await refuse(found);
  return found.kind === "group" ? await showHelp(found.group) : await showCommandHelp(found.entry);
}

async function refuse({ word, group }: Extract<Lookup, { kind: "unknown" }>): Promise<never> {
  const { unknownCommand } = await import("./suggest.ts");
  throw unknownCommand(word, group);
}

async function showCommandHelp(entry: CommandEntry): Promise<number> {
  const { commandHelp } = await import("./help.ts");
  await print(await commandHelp(entry, (await entry.load()).command));
  return 0;
}

const parseGlobals = (args: readonly string[]) =>
  at("mydocker", () => parseCommandLine(GLOBAL_OPTIONS, args, { stopAtPositional: true }));

async function showHelp(group?: string): Promise<number> {
  const { groupHelp } = await import("./help.ts");
  await print(await groupHelp(group));
  return 0;
}

async function enableDebug(): Promise<void> {
  const { traceCalls } = await import("./trace.ts");
  traceCalls();
}

/** Adds to usage errors where to read more. */
function at<T>(path: string, act: () => T): T {
  try {
    const result = act();
    return (result instanceof Promise ? result.catch((error) => refer(path, error)) : result) as T;
  } catch (error) {
    return refer(path, error);
  }
}

function refer(path: string, error: unknown): never {
  if (!(error instanceof MydockerError) || error.name !== "UsageError") throw error;
  throw new MydockerError(error.message, {
    exitCode: error.exitCode,
    hint: error.hint ?? seeHelp(path),
    cause: error.cause,
  });
}
