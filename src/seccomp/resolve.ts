/** Docker's form of a profile → the specification's, for one container on one machine. */
import type { Architecture, DockerProfile, RuleFilter, Seccomp, SyscallRule } from "./profile.ts";

/** What the conditions of a profile look at. */
export interface ProfileContext {
  /** the bounding set, as names such as CAP_CHOWN */
  readonly capabilities: readonly string[];
  /** uname(2)'s release, "6.1.0-18-amd64" */
  readonly kernelRelease: string;
  /** Go's name of the machine's architecture; default: this machine's */
  readonly goArch?: "amd64" | "arm64";
}

const NATIVE: Readonly<Record<"amd64" | "arm64", Architecture>> = {
  amd64: "SCMP_ARCH_X86_64",
  arm64: "SCMP_ARCH_AARCH64",
};

/** Version and major revision of a release, as one number in order. What comes after does not count. */
function versionNumber(release: string): number {
  const [version = "", revision = ""] = release.split(".", 2);
  return Number.parseInt(version, 10) * 1000 + Number.parseInt(revision, 10);
}

/**
 * Keeps the rules that count for this container, and the architectures that the machine has.
 * As Docker does it: all of includes must hold, any of excludes drops a rule.
 */
export function resolveProfile(profile: DockerProfile, context: ProfileContext): Seccomp {
  const goArch = context.goArch ?? (process.arch === "arm64" ? "arm64" : "amd64");
  const kernel = versionNumber(context.kernelRelease);
  const capabilities = new Set(context.capabilities);

  const isIncluded = ({ arches, caps, minKernel }: RuleFilter): boolean => {
    if (arches !== undefined && arches.length > 0 && !arches.includes(goArch)) return false;
    if (caps?.some((name) => !capabilities.has(name))) return false;
    return minKernel === undefined || kernel >= versionNumber(minKernel);
  };
  const isExcluded = ({ arches, caps, minKernel }: RuleFilter): boolean => {
    if (arches?.includes(goArch)) return true;
    if (caps?.some((name) => capabilities.has(name))) return true;
    return minKernel !== undefined && kernel >= versionNumber(minKernel);
  };

  const { archMap, syscalls, ...rest } = profile;
  const kept: SyscallRule[] = [];
  for (const rule of syscalls) {
    const { includes, excludes, ...plain } = rule;
    if (includes !== undefined && !isIncluded(includes)) continue;
    if (excludes !== undefined && isExcluded(excludes)) continue;
    kept.push(plain);
  }
  const entry = archMap?.find(({ architecture }) => architecture === NATIVE[goArch]);
  return {
    ...rest,
    ...(entry === undefined
      ? {}
      : { architectures: [entry.architecture, ...entry.subArchitectures] }),
    syscalls: kept,
  };
}
