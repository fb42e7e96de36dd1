/** Making networks: the default one when it is first needed, others when they are asked for. */
import { MydockerError } from "../errors.ts";
import { RouteSocket } from "../netlink/route_socket.ts";
import type { Paths } from "../paths.ts";
import { chooseSubnet, usualGateway } from "./addresses.ts";
import { routedPrefixes } from "./bridge.ts";
import { suffixOf } from "./firewall.ts";
import { DEFAULT_NETWORK, type Network } from "./network.ts";
import { openParent, parentName } from "./parent.ts";
import { formatPrefix, type Prefix, readPrefix } from "./prefix.ts";
import { exclusively } from "./state.ts";
import { addNetwork, allNetworks, readNetwork } from "./store.ts";

/** What a network is made of. */
export type NetworkRequest = Omit<Network, "id" | "created" | "link" | "subnets"> &
  Partial<Pick<Network, "subnets" | "link">> & {
    /** beside one of IPv4 that is chosen */
    readonly moreSubnets?: Network["subnets"];
  };

/** 64 hexadecimal digits. */
function newId(): string {
  return Buffer.from(crypto.getRandomValues(new Uint8Array(32))).toString("hex");
}

/** What other networks have. */
export const networkPrefixes = (paths: Paths): Prefix[] =>
  allNetworks(paths)
    .flatMap(({ subnets }) => subnets)
    .map(({ subnet }) => readPrefix(subnet));

/** What a new network's addresses may not be: other networks', and where this host has routes to. */
export function takenPrefixes(paths: Paths): Prefix[] {
  using socket = new RouteSocket();
  return [...networkPrefixes(paths), ...routedPrefixes(socket, 4), ...routedPrefixes(socket, 6)];
}

/** Makes a network. Its bridge is made when it is needed. @throws {MydockerError} when there is one of that name */
export function makeNetwork(
  paths: Paths,
  { moreSubnets = [], ...request }: NetworkRequest,
): Network {
  return exclusively(paths, () => {
    const id = newId();
    const network: Network = {
      ...request,
      id,
      created: new Date().toISOString(),
      link:
        request.driver === "bridge"
          ? (request.link ?? `br-${id.slice(0, 12)}`)
          : parentName({ ...request, id }),
      subnets: request.subnets ?? [usualSubnet(paths), ...moreSubnets],
    };
    if (network.driver !== "bridge") reserveParent(paths, network);
    if (!addNetwork(paths, network)) {
      throw new MydockerError(`network with name ${network.name} already exists`);
    }
    return network;
  });
}

/** @throws {MydockerError} when another network has it, when it is not there, or cannot be made */
function reserveParent(paths: Paths, network: Network): void {
  const { name, link } = network;
  const others = allNetworks(paths).filter(({ driver }) => driver !== "bridge");
  const other = others.find((each) => each.link === link);
  if (other !== undefined && readNetwork(paths, name) === undefined)
    throw new MydockerError(`network ${other.name} is already using parent interface ${link}`);
  if (readNetwork(paths, name) !== undefined) return; // refused for that
  using socket = new RouteSocket();
  openParent(network, socket);
}

function usualSubnet(paths: Paths) {
  const prefix = chooseSubnet(takenPrefixes(paths));
  return { subnet: formatPrefix(prefix), gateway: usualGateway(prefix) };
}

/** The default network. Its bridge is `mydocker0`, of state in another place one with a name of its own. */
export function defaultNetwork(paths: Paths): Network {
  return (
    readNetwork(paths, DEFAULT_NETWORK) ??
    exclusively(
      paths,
      () =>
        readNetwork(paths, DEFAULT_NETWORK) ??
        makeNetwork(paths, {
          name: DEFAULT_NETWORK,
          link: suffixOf(paths) === "" ? "mydocker0" : `md-${suffixOf(paths)}`,
          driver: "bridge",
          internal: false,
          ipv6: false,
          options: {},
          labels: {},
        }),
    )
  );
}
