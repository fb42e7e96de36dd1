/** Errors, as a person reads them. Loaded only when there is one. */
import { ClientError, MydockerError } from "../errors.ts";
import { isDebugLog, log } from "../log.ts";

/**
 * One line, the way out with it if it is known; the causes and the stack only with --debug.
 * @param failureCode the exit code when the error names none of its own
 * @returns the exit code
 */
export function reportError(error: unknown, failureCode = 1): number {
  const hint = error instanceof MydockerError ? error.hint : undefined;
  log.error(hint === undefined ? messageOf(error) : withHint(messageOf(error), hint));
  if (isDebugLog()) reportCauses(error);
  if (error instanceof ClientError) return error.exitCode;
  return error instanceof MydockerError && error.exitCode !== 1 ? error.exitCode : failureCode;
}

const messageOf = (error: unknown): string =>
  error instanceof Error ? error.message || error.name : String(error);

/** As a sentence of its own if it begins like one. */
function withHint(message: string, hint: string): string {
  return `${message.replace(/\.$/, "")}${/^\p{Lu}/u.test(hint) ? "." : ";"} ${hint}`;
}

function reportCauses(error: unknown): void {
  const seen = new Set<unknown>();
  for (let at = error; at instanceof Error && !seen.has(at); at = at.cause) {
    seen.add(at);
    if (at !== error) log.debug(`caused by ${at.name}: ${at.message}`);
    if (at instanceof AggregateError) for (const one of at.errors) log.debug(messageOf(one));
    for (const line of (at.stack ?? "").split("\n").slice(1)) log.debug(line.trim());
  }
}
