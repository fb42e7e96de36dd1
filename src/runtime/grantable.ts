/** Capabilities that are asked for and cannot be had. */
import { capabilityBits, capabilityNames } from "../capabilities/capabilities.ts";
import { permittedCapabilities } from "../linux/process.ts";
import type { NamespaceEntry } from "../namespaces/namespaces.ts";
import type { Process } from "./spec.ts";

/**
 * The process without the capabilities that we do not hold ourselves, so cannot pass on: "MUST be
 * logged as a warning […]. Runtimes SHOULD NOT fail" (config.md, "Linux Process"). In a user namespace
 * the container has all of them, over what belongs to it.
 * @param warn is told which
 * @param held the bits of those that we hold
 */
export function withGrantable<P extends Pick<Process, "capabilities">>(
  process: P,
  namespaces: readonly NamespaceEntry[],
  warn: (message: string) => void,
  held: bigint = permittedCapabilities(),
): P {
  const { bounding, effective, permitted, inheritable, ambient } = process.capabilities;
  const sets = [bounding, effective, permitted, inheritable, ambient];
  const refused = sets.reduce((bits, set) => bits | capabilityBits(set), 0n) & ~held;
  if (refused === 0n || namespaces.some(({ type }) => type === "user")) return process;
  const names = capabilityNames(refused);
  warn(`process.capabilities: mydocker does not hold, so cannot grant: ${names.join(", ")}`);
  const had = (set: readonly string[]) => set.filter((name) => !names.includes(name));
  return {
    ...process,
    capabilities: {
      bounding: had(bounding),
      effective: had(effective),
      permitted: had(permitted),
      inheritable: had(inheritable),
      ambient: had(ambient),
    },
  };
}
