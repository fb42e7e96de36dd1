/** `linux.seccomp` of a configuration, as what the kernel is given. */
import { compileSeccomp } from "../seccomp/compile.ts";
import type { CompiledFilter } from "../seccomp/filter.ts";
import type { Spec } from "./spec.ts";

/** The container's filter of system calls; undefined when it has none. */
export function filterOf({ linux }: Spec): CompiledFilter | undefined {
  return linux.seccomp === undefined ? undefined : compileSeccomp(linux.seccomp);
}
