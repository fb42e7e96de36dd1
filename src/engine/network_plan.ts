/** A container's network as its options say: what is usual without, for a start that is to be fast. */
import type { CreatedContainer } from "./create.ts";
import type { NetworkPlan } from "./network_mode.ts";

/**
 * Takes addresses and ports, or finds the container to share with. `undo` gives them back.
 * @throws {MydockerError} exit code 125
 */
export async function planNetwork(
  container: CreatedContainer,
  hostname: string,
  undo: DisposableStack,
): Promise<NetworkPlan> {
  const { network, extraHosts, dns, ports } = container.record.options;
  const isPlain = extraHosts === undefined && dns === undefined && ports === undefined;
  if ((network === "none" || network === "host") && isPlain) return {};
  const { joinNetwork } = await import("./network_join.ts");
  return joinNetwork(container, hostname, undo);
}
