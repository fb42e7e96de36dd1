/** What `--version` prints: lines that clients of runc read by their first words. */
import { versionInfo } from "../version_text.ts";

/** The newest runtime-spec that is implemented. */
export const SPEC_VERSION = "1.3.0";

/** `NAME version X`, then `commit:` and `spec:`. */
export function ociVersion(): string {
  const { Version, GitCommit } = versionInfo();
  return `mydocker-oci version ${Version}\ncommit: ${GitCommit}\nspec: ${SPEC_VERSION}\n`;
}
