/** Which filter of system calls a container gets (moby: daemon/seccomp_linux.go). */
import { MydockerError } from "../errors.ts";
import { readFile } from "../linux/file.ts";
import { defaultFilter } from "../seccomp/default_filter.ts";
import type { CompiledFilter } from "../seccomp/filter.ts";
import { grantedCapabilities } from "./capability_options.ts";
import type { RunOptions } from "./run_options.ts";

/**
 * The filter for a container: Docker's default profile for the capabilities that it has, unless it is
 * privileged or asks for another.
 * @param available the capabilities that mydocker holds itself
 * @returns undefined for none
 * @throws {MydockerError} for a profile that is not one, or whose notifications nobody would answer
 */
export async function chooseSeccomp(
  options: Pick<RunOptions, "capAdd" | "capDrop" | "privileged" | "seccomp">,
  available: readonly string[],
): Promise<CompiledFilter | undefined> {
  const { seccomp } = options;
  if (seccomp === "unconfined" || (options.privileged && seccomp === undefined)) return undefined;
  const capabilities = grantedCapabilities(options, available);
  if (seccomp === undefined || seccomp === "builtin") return defaultFilter(capabilities);
  return await compileProfile(seccomp.profile, capabilities);
}

/** Most containers have none of their own, so what it takes is loaded when one has. */
async function compileProfile(text: string, capabilities: readonly string[]) {
  const { parseProfileText } = await import("../seccomp/validate.ts");
  const { resolveProfile } = await import("../seccomp/resolve.ts");
  const { compileSeccomp } = await import("../seccomp/compile.ts");
  try {
    const profile = parseProfileText(text);
    if (profile.listenerPath !== undefined) {
      throw new MydockerError("seccomp profile: $.listenerPath: run has nobody who listens there");
    }
    const kernelRelease = readFile("/proc/sys/kernel/osrelease").trim();
    return compileSeccomp(resolveProfile(profile, { capabilities, kernelRelease }));
  } catch (cause) {
    if (!(cause instanceof MydockerError)) throw cause;
    throw new MydockerError(cause.message, { exitCode: 125, cause });
  }
}
