/**
 * Fetching an image for `run` and `create`: by a process of its own, since what talks to registries
 * leaves threads behind, beside which a container's init is not to be forked (docs/decisions/fork.md).
 */
import { MydockerError } from "../errors.ts";
import { decodeBytes } from "../ffi/bytes.ts";
import { familiarReference, parseReference, withDefaultTag } from "../images/reference.ts";
import { close, pipe } from "../linux/fd.ts";
import { readToEnd } from "../linux/file.ts";
import { P_PID, waitExit } from "../linux/process.ts";
import { spawnProgram } from "../linux/spawn.ts";
import { log } from "../log.ts";
import type { RunOptions } from "./run_options.ts";

/** What the process is told, as JSON in an argument. */
export interface PullStageRequest {
  /** As the user named it. */
  readonly image: string;
  readonly platform?: string;
  readonly quiet: boolean;
}

/** What it says on its standard output, as JSON, when it did not work. */
export interface PullStageFailure {
  readonly message: string;
  readonly hint?: string;
}

/** Docker's words before it fetches an image. */
export function sayMissing(image: string, { quietPull }: RunOptions): void {
  if (quietPull === true) return;
  log.info(`Unable to find image '${shown(image)}' locally`);
}

const shown = (image: string): string => familiarReference(withDefaultTag(parseReference(image)));

/** Fetches an image, and tells of it on stderr. @throws {MydockerError} with exit code 125 */
export function pullFirst(image: string, options: RunOptions): void {
  const { platform, quietPull } = options;
  shown(image); // what is no reference is said before anything is started
  const request: PullStageRequest = {
    image,
    quiet: quietPull === true,
    ...(platform === undefined ? {} : { platform }),
  };
  const [reading, writing] = pipe();
  let pid: number;
  try {
    pid = spawnProgram({
      path: process.execPath,
      argv: [process.execPath, "internal-pull", JSON.stringify(request)],
      env: Object.entries(process.env).map(([name, value]) => `${name}=${value ?? ""}`),
      sameGroup: true,
      stdout: writing,
    });
  } finally {
    close(writing);
  }
  const said = decodeBytes(readToEnd(reading));
  close(reading);
  const status = waitExit(P_PID, pid);
  if (status?.code === 0) return;
  if (said === "")
    throw new MydockerError("fetching the image was interrupted", {
      exitCode: status?.signal === undefined ? 125 : status.code,
    });
  const { message, hint }: PullStageFailure = JSON.parse(said);
  throw new MydockerError(message, { exitCode: 125, ...(hint === undefined ? {} : { hint }) });
}
