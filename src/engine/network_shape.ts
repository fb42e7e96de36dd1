/** A container's networks in Docker's shape (api/swagger.yaml, NetworkSettings). */
import { type Endpoint, openPorts, type PublishedPort, readNetworks } from "../network/state.ts";
import type { Paths } from "../paths.ts";
import type { ContainerRecord } from "./container_record.ts";

const addressOf = (text: string | undefined): string => text?.replace(/\/.*/, "") ?? "";
const lengthOf = (text: string | undefined): number => Number(text?.split("/")[1] ?? 0);

/** What it has now; of one that does not run, what it is to have. */
export function networkSettings(paths: Paths, { id, options }: ContainerRecord): object {
  const state = readNetworks(paths, id);
  const { network, networks = [{ network }] } = options;
  const endpoints: readonly (Partial<Endpoint> & Pick<Endpoint, "network">)[] =
    state?.endpoints ?? networks.map((each) => ({ network: each.network }));
  const shapes = endpoints.map((endpoint) => [endpoint.network, endpointShape(endpoint)] as const);
  const first = endpoints.find((each) => each.network === "bridge");
  return {
    Bridge: "",
    SandboxID: "",
    HairpinMode: false,
    LinkLocalIPv6Address: "",
    LinkLocalIPv6PrefixLen: 0,
    Ports: portsShape(openPorts(state)),
    SandboxKey: "",
    SecondaryIPAddresses: null,
    SecondaryIPv6Addresses: null,
    ...addressesOf(first ?? {}),
    Networks: Object.fromEntries(shapes),
  };
}

function addressesOf({ mac, ip, ip6, gateway, gateway6 }: Partial<Endpoint>) {
  return {
    EndpointID: "",
    Gateway: gateway ?? "",
    GlobalIPv6Address: addressOf(ip6),
    GlobalIPv6PrefixLen: lengthOf(ip6),
    IPAddress: addressOf(ip),
    IPPrefixLen: lengthOf(ip),
    IPv6Gateway: gateway6 ?? "",
    MacAddress: mac ?? "",
  };
}

/** `Aliases` as of API 1.44: what it was given, and its short id. */
function endpointShape(endpoint: Partial<Endpoint>) {
  return {
    IPAMConfig: null,
    Links: null,
    Aliases: endpoint.network === "bridge" ? null : (endpoint.aliases ?? null),
    NetworkID: endpoint.networkId ?? "",
    ...addressesOf(endpoint),
    DriverOpts: null,
  };
}

function portsShape(ports: readonly PublishedPort[]): object {
  const groups = Map.groupBy(ports, ({ port, protocol }) => `${port}/${protocol}`);
  return Object.fromEntries(
    [...groups].map(([key, group]) => [
      key,
      group.map(({ hostIp, version, hostPort }) => ({
        HostIp: hostIp ?? (version === 4 ? "0.0.0.0" : "::"),
        HostPort: String(hostPort),
      })),
    ]),
  );
}
