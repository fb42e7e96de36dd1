/** Why something could not be mounted or made in a container's root file system, in its user's words. */
import { MydockerError } from "../errors.ts";
import { SysError } from "../ffi/call.ts";
import { errnoText } from "../ffi/errno.ts";

/** One line that names the path in the container. */
export class RootfsError extends MydockerError {
  override readonly name = "RootfsError";

  constructor(message: string, options: { cause?: unknown } = {}) {
    super(message, { exitCode: 125, ...options });
  }
}

/** What failed while `doing` that: the call's own descriptor and flags say nothing to a user. */
export function explain(error: unknown, doing: string, hint = ""): unknown {
  if (!(error instanceof SysError)) return error;
  return new RootfsError(`${doing}: ${errnoText(error.errno)}${hint}`, { cause: error });
}
