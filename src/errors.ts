/** Errors that a person is meant to read. Imports nothing of ours. */

/** An error of mydocker's own: one line, with the exit code that the command ends with. */
export class MydockerError extends Error {
  override readonly name: string = "MydockerError";
  readonly exitCode: number;
  /** What to do about it, if that is known: the end of the line. */
  readonly hint?: string;

  constructor(
    message: string,
    options: { exitCode?: number; cause?: unknown; hint?: string } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.exitCode = options.exitCode ?? 1;
    if (options.hint !== undefined) this.hint = options.hint;
  }
}

/** A command line that is wrong: exit code 125. */
export class UsageError extends MydockerError {
  override readonly name = "UsageError";

  constructor(message: string, options: { cause?: unknown } = {}) {
    super(message, { exitCode: 125, ...options });
  }
}

/** What was named is not there: for a command that is to remove it by force, no failure. */
export class NotFoundError extends MydockerError {
  override readonly name = "NotFoundError";
}

/** What Docker's client refuses before it asks for anything: exit code 1, also of `run`. */
export class ClientError extends MydockerError {
  override readonly name = "ClientError";
}
