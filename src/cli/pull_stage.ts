/** The process that fetches an image for `run` and `create` (engine/pull_first.ts). */
import { pullReference } from "../engine/pull.ts";
import type { PullStageFailure, PullStageRequest } from "../engine/pull_first.ts";
import { MydockerError } from "../errors.ts";
import { encodeBytes } from "../ffi/bytes.ts";
import { parsePlatform } from "../images/platform.ts";
import { parseReference, withDefaultTag } from "../images/reference.ts";
import { writeAll } from "../linux/fd.ts";
import { PR_SET_PDEATHSIG, prctl, SIGNALS } from "../linux/process.ts";
import { log } from "../log.ts";
import { defined } from "./defined.ts";
import { TransferProgress } from "./transfer_progress.ts";

/** @param text a {@link PullStageRequest} @returns the exit code */
export async function runPullStage(text: string): Promise<number> {
  prctl(PR_SET_PDEATHSIG, SIGNALS.SIGTERM);
  const { image, platform, quiet }: PullStageRequest = JSON.parse(text);
  const progress = quiet ? undefined : new TransferProgress(2);
  try {
    const { lines, warnings } = await pullReference(withDefaultTag(parseReference(image)), {
      ...defined({
        platform: platform === undefined ? undefined : parsePlatform(platform),
        listener: progress?.show,
      }),
    });
    progress?.finish();
    for (const warning of warnings) log.warn(warning);
    // The last one, its whole name, is for scripts that pull.
    if (!quiet) for (const line of lines.slice(0, -1)) log.info(line);
    return 0;
  } catch (error) {
    progress?.finish();
    const hint = error instanceof MydockerError ? error.hint : undefined;
    const failure: PullStageFailure = {
      message: error instanceof Error ? error.message : String(error),
      ...(hint === undefined ? {} : { hint }),
    };
    writeAll(1, encodeBytes(JSON.stringify(failure)), "the answer");
    return 1;
  }
}
