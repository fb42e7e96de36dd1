/** Connecting and disconnecting a container that runs, from a process that is not its owner. */
import { MydockerError } from "../errors.ts";
import { isErrno } from "../ffi/call.ts";
import { close, O, open } from "../linux/fd.ts";
import { inNetworkNamespace } from "../namespaces/visit.ts";
import { setHairpin } from "../netlink/link.ts";
import { RouteSocket } from "../netlink/route_socket.ts";
import type { Paths } from "../paths.ts";
import { openBridge } from "./bridge.ts";
import {
  configure,
  defaultRoutes,
  type EndpointRequest,
  findNetwork,
  lead,
  lease,
  linkName,
  MAX_NETWORKS,
  plug,
} from "./connect.ts";
import { Firewall, isOnBridge } from "./firewall.ts";
import { addNames, dropNames } from "./names.ts";
import { plugChild, unplugChildren } from "./parent.ts";
import { unplug } from "./release.ts";
import {
  type ContainerNetworks,
  dropLease,
  type Endpoint,
  exclusively,
  type PublishedPort,
  readNetworks,
  writeNetworks,
} from "./state.ts";

/** A container that runs. */
export interface LiveContainer {
  readonly id: string;
  readonly name: string;
  readonly hostname: string;
  /** of its first process */
  readonly pid: number;
}

function inside<T>({ pid }: LiveContainer, act: (namespace: number) => T): T {
  const namespace = open(`/proc/${pid}/ns/net`, O.O_RDONLY);
  try {
    return act(namespace);
  } finally {
    close(namespace);
  }
}

/** Which of a container's connections has the default route. */
export const defaultOf = (endpoints: readonly Endpoint[]): Endpoint | undefined =>
  endpoints.find(({ gateway, gateway6 }) => gateway ?? gateway6);

/** Puts it on one more network. @returns what it has then @throws {MydockerError} */
export function connectLive(
  paths: Paths,
  container: LiveContainer,
  request: EndpointRequest,
): ContainerNetworks {
  return exclusively(paths, () => {
    const { id, name, hostname } = container;
    const before = readNetworks(paths, id) ?? { id, name, hostname, endpoints: [], ports: [] };
    const network = findNetwork(paths, request.network);
    if (before.endpoints.some(({ networkId }) => networkId === network.id))
      throw new MydockerError(
        `endpoint with name ${name} already exists in network ${network.name}`,
      );
    const index = freeIndex(before.endpoints, id);
    const endpoint = lease(paths, network, container, request, index);
    const endpoints = [...before.endpoints, endpoint];
    const state = {
      ...before,
      endpoints,
      ports: before.ports.map((port) => lead(port, endpoints)),
    };
    writeNetworks(paths, state);
    try {
      using socket = new RouteSocket();
      inside(container, (namespace) => {
        if (isOnBridge(endpoint)) {
          using firewall = new Firewall(paths);
          plug(
            socket,
            endpoint,
            openBridge(paths, network, socket, () => firewall),
            namespace,
          );
          const own = before.ports.length > 0 ? socket.link({ name: endpoint.link }) : undefined;
          if (own !== undefined) socket.change(setHairpin(own.index, true));
          const { gone, come } = moved(before, state);
          firewall.dismiss({ endpoints: [], ports: gone });
          firewall.admit({ endpoints: [endpoint], ports: come });
        } else plugChild(socket, network, endpoint, namespace);
        inNetworkNamespace(namespace, () => {
          using there = new RouteSocket();
          configure(there, endpoint, defaultOf(state.endpoints) === endpoint);
        });
      });
      addNames(paths, id, [endpoint]);
    } catch (error) {
      remove(paths, container, state, endpoint);
      throw error;
    }
    return state;
  });
}

/** Takes it off a network. @returns what it has then @throws {MydockerError} when it is not on it */
export function disconnectLive(
  paths: Paths,
  container: LiveContainer,
  networkId: string,
): ContainerNetworks | undefined {
  return exclusively(paths, () => {
    const before = readNetworks(paths, container.id);
    const endpoint = before?.endpoints.find((each) => each.networkId === networkId);
    if (before === undefined || endpoint === undefined) return undefined;
    const state = remove(paths, container, before, endpoint);
    const next = defaultOf(state.endpoints);
    if (next !== undefined && defaultOf(before.endpoints) === endpoint)
      inside(container, (namespace) => inNetworkNamespace(namespace, () => route(next)));
    return state;
  });
}

/** Published ports lead elsewhere once a container's networks have changed, as with Docker. */
function moved(before: ContainerNetworks, after: ContainerNetworks) {
  const differs = (others: readonly PublishedPort[]) => (port: PublishedPort, index: number) =>
    port.ip !== others[index]?.ip;
  return {
    gone: before.ports.filter(differs(after.ports)),
    come: after.ports.filter(differs(before.ports)),
  };
}

function remove(
  paths: Paths,
  container: LiveContainer,
  before: ContainerNetworks,
  endpoint: Endpoint,
): ContainerNetworks {
  const { id } = before;
  const own = [endpoint.ip, endpoint.ip6].map((ip) => ip?.replace(/\/.*/, ""));
  dropNames(paths, id, [endpoint]);
  const endpoints = before.endpoints.filter(({ link }) => link !== endpoint.link);
  const rest = { ...before, endpoints, ports: before.ports.map((port) => lead(port, endpoints)) };
  if (isOnBridge(endpoint)) {
    using firewall = new Firewall(paths);
    const { gone, come } = moved(before, rest);
    firewall.dismiss({ endpoints: [endpoint], ports: gone });
    if (come.some(({ ip }) => ip !== "")) firewall.admit({ endpoints, ports: come });
    unplug([endpoint.link]);
  } else inside(container, (namespace) => unplugChildren([endpoint], namespace));
  for (const ip of own) if (ip !== undefined) dropLease(paths, endpoint.networkId, ip);
  writeNetworks(paths, rest);
  return rest;
}

/** The default route goes where there is one, once the one who had it has gone. */
function route(endpoint: Endpoint): void {
  using there = new RouteSocket();
  const link = there.link({ name: endpoint.device });
  if (link === undefined) return;
  for (const request of defaultRoutes(endpoint, link.index)) {
    try {
      there.change(request);
    } catch (error) {
      if (!isErrno(error, "EEXIST")) throw error;
    }
  }
}

function freeIndex(endpoints: readonly Endpoint[], id: string): number {
  const taken = new Set(endpoints.map(({ link }) => link));
  for (let index = 0; index < MAX_NETWORKS; index++) {
    if (!taken.has(linkName(id, index))) return index;
  }
  throw new MydockerError(`a container can be on ${MAX_NETWORKS} networks at most`);
}
