/** What all the other checks are about: a container is run. */

import type { Paths } from "../../paths.ts";
import { defineCheck, type Finding, failure, ok } from "./check.ts";

/** How `mydocker run` went. */
export interface TrialFacts {
  /** null: it was killed, as it took too long */
  readonly exitCode: number | null;
  /** the last line of standard error */
  readonly said: string;
}

/** How long it may take, in milliseconds. A machine that is emulated takes seconds. */
const PATIENCE = 60_000;
const NAME = "trial run";
const WHY = "it shows what no other check knows of";
const COMMAND = "mydocker run --rm --network none busybox true";

/** A container of the default image, by our own executable, with the state directories that are in use. */
export const trialRun = defineCheck({
  name: NAME,
  why: WHY,
  read({ root, run }: Paths): TrialFacts {
    const { exitCode, stderr, exitedDueToTimeout } = Bun.spawnSync(
      [process.execPath, ...COMMAND.split(" ").slice(1)],
      {
        env: { PATH: process.env["PATH"] ?? "", MYDOCKER_ROOT: root, MYDOCKER_RUN: run },
        stdin: "ignore",
        stdout: "ignore",
        stderr: "pipe",
        timeout: PATIENCE,
        killSignal: "SIGKILL",
      },
    );
    const said = stderr.toString().trim().split("\n").at(-1) ?? "";
    return { exitCode: exitedDueToTimeout === true ? null : exitCode, said };
  },
  judge({ exitCode, said }): Finding[] {
    if (exitCode === 0) return [ok(NAME, `\`${COMMAND}\` works`, WHY)];
    const found =
      exitCode === null
        ? `\`${COMMAND}\` did not end within ${PATIENCE / 1000} seconds`
        : `\`${COMMAND}\` ended with ${exitCode}: ${said.replace(/^mydocker: /, "")}`;
    const fix =
      "see to the failures above first, then to what it says itself; `mydocker --debug run …` shows each call";
    return [failure(NAME, found, WHY, fix)];
  },
});
