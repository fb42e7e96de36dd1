/** The directories that state lives in. */
import { MydockerError } from "../errors.ts";
import { isErrno } from "../ffi/call.ts";
import { makeDirectories, mkdir } from "../linux/file.ts";
import type { Paths } from "../paths.ts";

/** An empty directory on which every container's root is mounted, each in its own mount namespace. */
export const attachPoint = (paths: Paths): string => `${paths.run}/root`;

/**
 * Makes what is missing, for root alone to look into.
 * @returns true when the machine was started since the last command
 */
export function makeStateDirectories(paths: Paths): boolean {
  try {
    mkdir(attachPoint(paths), 0o700);
  } catch (error) {
    if (isErrno(error, "EEXIST")) return false;
    if (!isErrno(error, "ENOENT")) throw unusable(paths.run, error);
    attempt(paths.run, () => makeDirectories(attachPoint(paths)));
  }
  attempt(paths.run, () => makeDirectories(`${paths.run}/owners`));
  attempt(paths.root, () => {
    for (const part of ["containers", "names"]) makeDirectories(`${paths.root}/${part}`);
  });
  return true;
}

function attempt(folder: string, make: () => void): void {
  try {
    make();
  } catch (error) {
    throw unusable(folder, error);
  }
}

function unusable(folder: string, cause: unknown): MydockerError {
  const why = cause instanceof Error ? cause.message : String(cause);
  return new MydockerError(`cannot keep state in ${folder}: ${why}`, { exitCode: 125, cause });
}
