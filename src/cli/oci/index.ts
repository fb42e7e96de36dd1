/**
 * The OCI runtime's command line: the calls of runc, whose clients are containerd, Docker, Podman and
 * Kubernetes. Options stand before the arguments; those before the command hold for all.
 */
import { MydockerError } from "../../errors.ts";
import { type ParsedCommandLine, parseCommandLine } from "../argv.ts";
import { print } from "../output.ts";
import type { OciCommand } from "./command.ts";
import { COMMANDS } from "./commands.ts";
import { type Globals, OCI_GLOBALS, readGlobals } from "./globals.ts";
import { reportFailure } from "./report.ts";

/**
 * @param args without the program's name
 * @returns the exit code
 */
export async function main(args: readonly string[]): Promise<number> {
  let globals: Globals | undefined;
  try {
    const parsed = parseCommandLine(OCI_GLOBALS, args, { stopAtPositional: true });
    globals = readGlobals(parsed.values);
    if (globals.debug && globals.log === undefined) {
      const { traceCalls } = await import("../trace.ts");
      traceCalls();
    }
    return await dispatch(parsed, globals);
  } catch (error) {
    return reportFailure(error, globals);
  }
}

async function dispatch(
  parsed: ParsedCommandLine<typeof OCI_GLOBALS>,
  globals: Globals,
): Promise<number> {
  if (parsed.values.version) {
    const { ociVersion } = await import("./version.ts");
    await print(ociVersion());
    return 0;
  }
  const [name, ...rest] = parsed.positionals;
  if (name === undefined || parsed.help || name === "help") {
    const { ociHelp } = await import("./help.ts");
    await print(await ociHelp());
    return 0;
  }
  if (!Object.hasOwn(COMMANDS, name))
    throw new MydockerError(`unknown command ${JSON.stringify(name)}`);
  const command = await (COMMANDS[name] as () => Promise<OciCommand>)();
  const run = command.prepare(rest, globals);
  if (run === undefined) {
    const { ociCommandHelp } = await import("./help.ts");
    await print(ociCommandHelp(name, command));
    return 0;
  }
  return (await run()) ?? 0;
}
