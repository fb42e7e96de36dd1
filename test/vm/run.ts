/** `test/vm/run`: the suite's part for the virtual machine, or a shell in it. */
import { parseArgs } from "node:util";
import type { Counts } from "../helpers/report.ts";
import { runSuite, shell } from "./suite.ts";

/**
 * What its arguments ask for.
 * @returns results by file; undefined after a shell
 * @throws for arguments that it does not know
 */
export async function runVm(
  args: readonly string[],
  executable: string,
): Promise<Map<string, Counts> | undefined> {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: { shell: { type: "boolean" }, kernel: { type: "string", default: "stable" } },
  });
  const { kernel } = values;
  if (kernel !== "stable" && kernel !== "backports")
    throw new Error("--kernel is stable or backports");
  if (values.shell !== true) return await runSuite(positionals, executable, kernel);
  await shell(executable, kernel);
  return undefined;
}
