/** `linux.seccomp` of a configuration, as what the kernel is given. */
import { compileSeccomp } from "../seccomp/compile.ts";
import type { CompiledFilter } from "../seccomp/filter.ts";
import type { Linux } from "./spec.ts";

/** The container's filter of system calls, if it has one. */
export function filterOf({ seccomp }: Linux): { readonly seccomp?: CompiledFilter } {
  return seccomp === undefined ? {} : { seccomp: compileSeccomp(seccomp) };
}
