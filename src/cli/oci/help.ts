/** Help of the OCI runtime, from its tables. */
import type { Option, OptionTable } from "../option_table.ts";
import { drawTable } from "../table.ts";
import type { OciCommand } from "./command.ts";
import { COMMANDS } from "./commands.ts";
import { OCI_GLOBALS } from "./globals.ts";

/** What `--help` prints. */
export async function ociHelp(): Promise<string> {
  const commands: string[][] = [];
  for (const [name, load] of Object.entries(COMMANDS)) {
    commands.push([`  ${name}`, (await load()).description]);
  }
  return [
    "mydocker-oci: an OCI runtime\n\n",
    "USAGE  mydocker-oci [OPTIONS] COMMAND [OPTIONS] [ARGS]\n\n",
    `COMMANDS\n\n${drawTable(commands)}\n`,
    `OPTIONS\n\n${optionLines(OCI_GLOBALS)}`,
  ].join("");
}

/** What `COMMAND --help` prints. */
export function ociCommandHelp(name: string, { description, usage, options }: OciCommand): string {
  const lines = optionLines(options);
  const title = `${description} (mydocker-oci ${name})\n\n`;
  const how = `USAGE  mydocker-oci ${name} [OPTIONS] ${usage}`.trimEnd();
  return `${title}${how}\n${lines === "" ? "" : `\nOPTIONS\n\n${lines}`}`;
}

function optionLines(options: OptionTable): string {
  const shown = Object.entries(options).filter(([, { hidden }]) => hidden !== true);
  if (shown.length === 0) return "";
  return drawTable(shown.map(([name, option]) => [`  ${label(name, option)}`, option.description]));
}

function label(name: string, option: Option): string {
  const short = option.short === undefined ? "    " : `-${option.short}, `;
  return `${short}--${name}${option.type === "boolean" ? "" : ` ${option.value}`}`;
}
