import { UsageError } from "../../errors.ts";

const POLICIES = ["always", "missing", "never"] as const;

/** `--pull`. */
export function parsePull(text: string): (typeof POLICIES)[number] {
  const found = POLICIES.find((policy) => policy === text);
  if (found !== undefined) return found;
  throw new UsageError(
    `invalid pull option: '${text}': must be one of "always", "missing" or "never"`,
  );
}
