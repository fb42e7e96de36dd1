/** The working directory of the container's first process. */
import { isErrno, SysError } from "../ffi/call.ts";
import { errnoText } from "../ffi/errno.ts";
import { close } from "../linux/fd.ts";
import { chdir, getcwd } from "../linux/file.ts";
import { makeDirectoryInRoot } from "../rootfs/safe_path.ts";
import { StartError } from "./start_error.ts";

/** A missing one is made, as Docker does. */
export function makeWorkingDirectory(rootFd: number, cwd: string): void {
  try {
    close(makeDirectoryInRoot(rootFd, cwd));
  } catch (error) {
    // ELOOP: it leads through a magic link of /proc, that is, out of the container (CVE-2024-21626).
    const why = isErrno(error, "ELOOP")
      ? "it leads through a link of /proc"
      : isErrno(error, "ENOTDIR", "EEXIST")
        ? "not a directory"
        : errorText(error);
    throw new StartError(`working directory ${cwd}: ${why}`, { exitCode: 126, cause: error });
  }
}

/**
 * As root, whatever the user may look into, as runc does. @returns false when root may not: on a
 * network file system it may be the user who can
 */
export function tryEnterWorkingDirectory(cwd: string): boolean {
  try {
    chdir(cwd);
    return true;
  } catch (error) {
    if (isErrno(error, "EACCES", "EPERM")) return false;
    throw workingDirectoryError(cwd, error);
  }
}

/** As the user. @throws {StartError} */
export function enterWorkingDirectory(cwd: string): void {
  try {
    chdir(cwd);
  } catch (error) {
    throw workingDirectoryError(cwd, error);
  }
}

/** The directory is named by who calls: of a failed call only the reason counts. */
function errorText(error: unknown): string {
  if (error instanceof SysError) return errnoText(error.errno);
  return error instanceof Error ? error.message : String(error);
}

function workingDirectoryError(cwd: string, error: unknown): StartError {
  const exitCode = isErrno(error, "ENOENT") ? 127 : 126;
  return new StartError(`working directory ${cwd}: ${errorText(error)}`, {
    exitCode,
    cause: error,
  });
}

/** A descriptor of the host as working directory shows as "(unreachable)" (CVE-2024-21626). @throws {StartError} */
export function checkWorkingDirectory(cwd: string): void {
  if (getcwd().startsWith("/")) return;
  throw new StartError(`working directory ${cwd} is outside of the container's root`, {
    exitCode: 126,
  });
}
