import { expect, test } from "bun:test";
import { join } from "node:path";

const ROOT = join(import.meta.dir, "..");

/** What a tool of node_modules says, all of it. */
function run(...command: readonly string[]): { exitCode: number; output: string } {
  const { exitCode, stdout, stderr } = Bun.spawnSync(
    [join(ROOT, "node_modules/.bin", command[0] as string), ...command.slice(1)],
    { cwd: ROOT },
  );
  return { exitCode, output: exitCode === 0 ? "" : `${stdout}${stderr}` };
}

test("the linter and the formatter find nothing", () => {
  expect(run("biome", "check", "--colors=off", ".")).toEqual({ exitCode: 0, output: "" });
});

test("the types are right", () => {
  expect(run("tsc", "--noEmit", "--pretty", "false")).toEqual({ exitCode: 0, output: "" });
});
