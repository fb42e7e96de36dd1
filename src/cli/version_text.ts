/** What this build is. The constants are put in by build.ts; from the sources they are missing. */

/** Under the names that `docker version --format json` has for them. */
export interface VersionInfo {
  readonly Version: string;
  readonly GitCommit: string;
  readonly BuildTime: string;
  readonly BunVersion: string;
  readonly Os: string;
  readonly Arch: string;
}

/** Names of architectures as Docker says them. */
const ARCHITECTURES: Readonly<Record<string, string>> = { x64: "amd64", arm64: "arm64" };

/** What this build says of itself. */
export function versionInfo(): VersionInfo {
  return {
    Version: process.env.MYDOCKER_VERSION ?? "development",
    GitCommit: process.env.MYDOCKER_COMMIT ?? "unknown",
    BuildTime: process.env.MYDOCKER_BUILD_DATE ?? "unknown",
    BunVersion: Bun.version,
    Os: process.platform,
    Arch: ARCHITECTURES[process.arch] ?? process.arch,
  };
}

/** `mydocker --version`. */
export function versionLine(): string {
  const { Version, GitCommit } = versionInfo();
  return `mydocker version ${Version}, build ${GitCommit.slice(0, 7)}\n`;
}

/** `mydocker version`. */
export function versionText(): string {
  const info = versionInfo();
  return [
    "mydocker:",
    ` Version:     ${info.Version}`,
    ` Git commit:  ${info.GitCommit}`,
    ` Built:       ${info.BuildTime}`,
    ` Bun version: ${info.BunVersion}`,
    ` OS/Arch:     ${info.Os}/${info.Arch}`,
    "",
  ].join("\n");
}
