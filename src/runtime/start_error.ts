/** A start that failed for a reason that has an exit code of its own (126, 127). */
export class StartError extends Error {
  readonly exitCode: number;
  constructor(message: string, options: { exitCode: number; cause?: unknown }) {
    super(message, { cause: options.cause });
    this.exitCode = options.exitCode;
  }
}
