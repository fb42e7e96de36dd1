/** `--cap-add`, `--cap-drop` and `--privileged` (moby: oci/caps/utils.go). */
import { CAPABILITIES, DEFAULT_CAPABILITIES } from "../capabilities/capabilities.ts";
import { MydockerError } from "../errors.ts";
import type { RunOptions } from "./run_options.ts";

/**
 * The capabilities of a container's processes.
 * @param available those that mydocker holds itself: no others can be passed on
 * @throws {MydockerError} for one that does not exist, or that was asked for by name and is not available
 */
export function grantedCapabilities(
  options: Pick<RunOptions, "capAdd" | "capDrop" | "privileged">,
  available: readonly string[],
): string[] {
  if (options.privileged) return [...available];
  const add = options.capAdd.map(canonical);
  const drop = options.capDrop.map(canonical);
  const missing = add.find((name) => name !== "ALL" && !available.includes(name));
  if (missing !== undefined) {
    throw new MydockerError(`cannot add capability ${missing}: mydocker does not have it itself`, {
      exitCode: 125,
      hint: "it is missing from the bounding set that mydocker was started with (capsh --print)",
    });
  }
  const wanted = new Set<string>();
  if (add.includes("ALL")) for (const name of available) wanted.add(name);
  else if (!drop.includes("ALL")) for (const name of DEFAULT_CAPABILITIES) wanted.add(name);
  for (const name of drop) wanted.delete(name);
  for (const name of add) if (name !== "ALL") wanted.add(name);
  return CAPABILITIES.filter((name) => wanted.has(name) && available.includes(name));
}

/** NET_ADMIN, cap_net_admin and CAP_NET_ADMIN are the same. */
function canonical(name: string): string {
  const upper = name.toUpperCase();
  if (upper === "ALL" || upper === "CAP_ALL") return "ALL";
  const full = upper.startsWith("CAP_") ? upper : `CAP_${upper}`;
  if (!(CAPABILITIES as readonly string[]).includes(full)) {
    throw new MydockerError(`invalid capability: ${JSON.stringify(name)}`, { exitCode: 125 });
  }
  return full;
}
