/** `--cgroup-parent`. */
import { cleanPath } from "./path.ts";

/** Seen from the root cgroup, as Docker does, whether or not it starts with `/`; nothing leads out of it. */
export function parseCgroupParent(text: string): string | undefined {
  return text === "" ? undefined : cleanPath(`/${text}`);
}
