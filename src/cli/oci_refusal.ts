/** Stands where the OCI runtime's command line will be. */
import { log } from "../log.ts";

/** @returns the exit code */
export function refuseOci(): number {
  log.error("the OCI runtime's commands are not part of this version");
  return 1;
}
