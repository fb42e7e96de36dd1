/** The directories that state lives in. */
import { MydockerError } from "../errors.ts";
import { makeDirectories, statIfExists } from "../linux/file.ts";
import type { Paths } from "../paths.ts";

/** Changes with what is in the run directory: a newer executable makes what an older one did not. */
const LAYOUT = 4;

/** An empty directory on which every container's root is mounted, each in its own mount namespace. */
export const attachPoint = (paths: Paths): string => `${paths.run}/root.${LAYOUT}`;

/** Where the generated files of all containers are (etc_files.ts). */
export const etcDirectory = (paths: Paths): string => `${paths.run}/etc`;

/** Where monitors listen (monitor_socket.ts). */
export const socketDirectory = (paths: Paths): string => `${paths.run}/sockets`;

/**
 * Makes what is missing, for root alone to look into.
 * @returns true when the machine was started since the last command
 */
export function makeStateDirectories(paths: Paths): boolean {
  if (statIfExists(attachPoint(paths)) !== undefined) return false;
  attempt(paths.run, () => {
    makeDirectories(`${paths.run}/owners`);
    makeDirectories(etcDirectory(paths));
    makeDirectories(socketDirectory(paths));
  });
  attempt(paths.root, () => {
    for (const part of ["containers", "names"]) makeDirectories(`${paths.root}/${part}`);
  });
  return true;
}

/** Says that the directories are there, and what a reboot left is dealt with: when all of that is done. */
export function markStateDirectories(paths: Paths): void {
  attempt(paths.run, () => makeDirectories(attachPoint(paths)));
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
