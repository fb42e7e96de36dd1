/**
 * Makes a seccomp filter for the first time in a process, and prints how many milliseconds it took:
 * `seccomp MODE [PROFILE]`, then the same again when everything has run before.
 */
import { readFileSync } from "node:fs";
import { DEFAULT_CAPABILITIES } from "../../src/capabilities/capabilities.ts";
import { compileSeccomp } from "../../src/seccomp/compile.ts";
import { defaultFilter } from "../../src/seccomp/default_filter.ts";
import { validateSeccomp } from "../../src/seccomp/validate.ts";

const [mode = "", file = ""] = process.argv.slice(2);
const given: unknown = file === "" ? undefined : JSON.parse(readFileSync(file, "utf8"));
// A configuration has been checked whether or not its filter is new.
const profile = given === undefined ? undefined : validateSeccomp(given);

function make(): void {
  if (profile !== undefined) compileSeccomp(profile);
  else if (mode === "usual") defaultFilter(DEFAULT_CAPABILITIES);
  else defaultFilter([...DEFAULT_CAPABILITIES, "CAP_SYS_ADMIN"]);
}

const start = performance.now();
make();
const cold = performance.now() - start;
for (let round = 0; round < 300; round++) make();
const again = performance.now();
for (let round = 0; round < 20; round++) make();
const warm = (performance.now() - again) / 20;
process.stdout.write(`${cold} ${warm}\n`);
