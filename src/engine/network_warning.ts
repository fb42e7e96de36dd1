/** A published port does not open silently what the host's firewall closes. */
import { log } from "../log.ts";
import { hostClosedInput } from "../network/host_firewall.ts";
import type { PortRequest } from "../network/ports.ts";

const isLocal = ({ hostIp = "" }: PortRequest): boolean =>
  hostIp.startsWith("127.") || hostIp === "::1";

/** Says which ports other machines reach although the firewall lets in only what it allows. */
export function warnOfFirewall(ports: readonly PortRequest[]): void {
  const open = ports.filter((port) => !isLocal(port));
  if (open.length === 0) return;
  const chain = hostClosedInput();
  if (chain === undefined) return;
  const names = open.map(({ port, protocol, hostPorts, hostIp }) => {
    const outside = hostPorts === undefined ? "" : `${[...new Set(hostPorts)].join("-")}:`;
    return `${hostIp === undefined ? "" : `${hostIp}:`}${outside}${port}/${protocol}`;
  });
  log.warn(
    `other machines reach ${names.join(", ")} past the host's firewall: what goes to a container does not come through the chain ${chain}; -p 127.0.0.1:… publishes for this host alone`,
  );
}
