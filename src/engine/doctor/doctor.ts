/** `doctor`: whether containers can be run here, and what else does not work. */
import type { Paths } from "../../paths.ts";
import type { Check, Finding } from "./check.ts";
import { CHECKS } from "./checks.ts";

/** All that was looked at. */
export interface Diagnosis {
  /** `run` works. */
  readonly works: boolean;
  readonly checks: readonly Finding[];
}

/** Looks at everything, and runs a container. */
export function diagnose(paths: Paths, checks: readonly Check[] = CHECKS): Diagnosis {
  const findings = checks.flatMap((check) => check.findings(paths));
  return { works: findings.every(({ status }) => status !== "failure"), checks: findings };
}
