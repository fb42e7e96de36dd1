/** A container's networks, from before its first process starts until after it has ended. */
import { MydockerError, NotFoundError } from "../errors.ts";
import { SysError } from "../ffi/call.ts";
import { close, O, open } from "../linux/fd.ts";
import { inNetworkNamespace } from "../namespaces/visit.ts";
import { IFA_F_NODAD, newAddress, RT_SCOPE_UNIVERSE } from "../netlink/address.ts";
import { parseIp } from "../netlink/ip_address.ts";
import { deleteLink, newLink, setHairpin, setLink } from "../netlink/link.ts";
import { NetlinkError, type Request } from "../netlink/message.ts";
import { newRoute } from "../netlink/route.ts";
import { RouteSocket } from "../netlink/route_socket.ts";
import type { Paths } from "../paths.ts";
import { leaseAny, leaseThis } from "./addresses.ts";
import { macOf, openBridge } from "./bridge.ts";
import { PortDoor } from "./door.ts";
import { Firewall, isOnBridge } from "./firewall.ts";
import { parameter } from "./forwarding.ts";
import { defaultNetwork } from "./make.ts";
import { addNames } from "./names.ts";
import { DEFAULT_NETWORK, hasNames, type Network } from "./network.ts";
import { isRouted, parentDriver, plugChild, unplugChildren } from "./parent.ts";
import { checkProxied, isAny, type PortRequest, type ReservedPort, reservePorts } from "./ports.ts";
import { releaseNetworks } from "./release.ts";
import { Resolver } from "./resolver.ts";
import { hardwareAddress } from "./rules.ts";
import {
  type ContainerNetworks,
  type Endpoint,
  type PublishedPort,
  writeNetworks,
} from "./state.ts";
import { readNetwork, resolveNetwork } from "./store.ts";

/** A network that a container is to be on, and how. */
export interface EndpointRequest {
  readonly network: string;
  readonly ip?: string;
  readonly ip6?: string;
  readonly mac?: string;
  readonly aliases?: readonly string[];
}

/** What a container wants of networks. */
export interface ConnectionRequest {
  readonly id: string;
  readonly name: string;
  readonly hostname: string;
  /** the first one has its default route */
  readonly networks: readonly EndpointRequest[];
  readonly ports: readonly PortRequest[];
  /** the servers that its resolver asks for names of the outside */
  readonly servers: () => readonly string[];
}

/** How many networks a container can be on: each has a digit of our side's name. */
export const MAX_NETWORKS = 36;

/** Our side of a container's connection: what it is called says whose it is. */
export const linkName = (id: string, index: number): string =>
  `md${id.slice(0, 12)}${index.toString(MAX_NETWORKS)}`;

/** A container's networks. */
export class Connection implements Disposable {
  #state: ContainerNetworks;
  readonly #networks: readonly Network[];
  readonly #undo: DisposableStack;
  readonly #servers: ConnectionRequest["servers"];
  #resolver: Resolver | undefined;

  private constructor(
    readonly paths: Paths,
    state: ContainerNetworks,
    networks: readonly Network[],
    servers: ConnectionRequest["servers"],
    /** the ports that are held for it, and who comes to them */
    readonly door: PortDoor,
    undo: DisposableStack,
  ) {
    this.#servers = servers;
    this.#state = state;
    this.#networks = networks;
    this.#undo = undo;
  }

  /**
   * Takes addresses and ports, and writes down what will be made.
   * @throws {MydockerError} for a network that is not there, an address or a port that is in use
   */
  static prepare(paths: Paths, request: ConnectionRequest): Connection {
    using undo = new DisposableStack();
    const networks = request.networks.map(({ network }) => findNetwork(paths, network));
    if (networks.length > MAX_NETWORKS) {
      throw refused(`a container can be on ${MAX_NETWORKS} networks at most`);
    }
    const hasBridge = networks.some(({ driver }) => driver === "bridge");
    // As with Docker: what others reach without the host is not published.
    const door = new PortDoor(paths, request.id);
    const ports = hasBridge ? reservePorts(request.ports, door, undo) : [];
    undo.defer(() => releaseNetworks(paths, request.id));
    const endpoints = networks.map((network, index) =>
      lease(paths, network, request, request.networks[index] as EndpointRequest, index),
    );
    const state: ContainerNetworks = {
      id: request.id,
      name: request.name,
      hostname: request.hostname,
      endpoints,
      ports: ports.flatMap((port) => publish(port, endpoints)),
    };
    writeNetworks(paths, state);
    addNames(paths, request.id, endpoints);
    return new Connection(paths, state, networks, request.servers, door, undo.move());
  }

  /** What the container has. */
  get state(): ContainerNetworks {
    return this.#state;
  }

  /** Answers the container's questions for names, on networks that have some. */
  get resolver(): Resolver | undefined {
    return this.#resolver;
  }

  /** Puts a process's network namespace on the networks. Done again for another process, that one has them. */
  attach(pid: number): void {
    using undo = new DisposableStack();
    let firewall: Firewall | undefined;
    const openFirewall = () => {
      firewall ??= undo.use(new Firewall(this.paths));
      return firewall;
    };
    const socket = undo.use(new RouteSocket());
    const namespace = open(`/proc/${pid}/ns/net`, O.O_RDONLY);
    undo.defer(() => close(namespace));
    for (const [index, endpoint] of this.#state.endpoints.entries()) {
      const network = this.#networks[index] as Network;
      if (!isOnBridge(endpoint)) {
        plugChild(socket, network, endpoint, namespace);
        continue;
      }
      const bridge = openBridge(this.paths, network, socket, openFirewall);
      plug(socket, endpoint, bridge, namespace);
      if (this.#state.ports.length > 0) {
        const own = socket.link({ name: endpoint.link });
        // A container that asks for its own published port gets it from the bridge (br_netfilter).
        if (own !== undefined) socket.change(setHairpin(own.index, true));
      }
    }
    if (this.#state.endpoints.some(isOnBridge)) {
      openFirewall().admit(this.#state);
      if (!openFirewall().isThere) checkProxied(this.#state.ports);
    }
    if (!this.#state.endpoints.every(isOnBridge)) this.#holdNamespace(pid);
    inNetworkNamespace(namespace, () => {
      using inside = new RouteSocket();
      const { endpoints } = this.#state;
      const first = endpoints.find(({ gateway, gateway6 }) => gateway ?? gateway6);
      for (const endpoint of endpoints) configure(inside, endpoint, endpoint === first);
    });
    if (!this.#networks.some(hasNames)) return;
    this.#resolver?.[Symbol.dispose]();
    const { id } = this.#state;
    this.#resolver = new Resolver({ paths: this.paths, id, servers: this.#servers }, namespace);
  }

  /** Kept until the end: what has no side of ours is removed from inside. */
  #holdNamespace(pid: number): void {
    const held = open(`/proc/${pid}/ns/net`, O.O_RDONLY);
    this.#undo.defer(() => {
      unplugChildren(this.#state.endpoints, held);
      close(held);
    });
  }

  [Symbol.dispose](): void {
    this.#resolver?.[Symbol.dispose]();
    this.door.shut();
    this.#undo.dispose();
    this.door[Symbol.dispose](); // ports that came later, too: when no rule leads anywhere any more
  }
}

const refused = (message: string) => new MydockerError(message, { exitCode: 125 });

/** By name or id; the default network is made when it is missing. @throws {MydockerError} */
export function findNetwork(paths: Paths, reference: string): Network {
  if (reference === DEFAULT_NETWORK) return defaultNetwork(paths);
  try {
    return readNetwork(paths, reference) ?? resolveNetwork(paths, reference);
  } catch (error) {
    if (!(error instanceof NotFoundError)) throw error;
    throw new MydockerError(error.message, {
      exitCode: 125,
      cause: error,
      hint: "`mydocker network create` makes one",
    });
  }
}

/** Takes the addresses of a container on a network. */
export function lease(
  paths: Paths,
  network: Network,
  { id, name, hostname }: Pick<ConnectionRequest, "id" | "name" | "hostname">,
  asked: EndpointRequest,
  index: number,
): Endpoint {
  const ip =
    asked.ip === undefined
      ? leaseAny(paths, network, 4, id)
      : leaseThis(paths, network, asked.ip, id);
  const ip6 =
    asked.ip6 === undefined
      ? leaseAny(paths, network, 6, id)
      : leaseThis(paths, network, asked.ip6, id);
  const gateway = (version: 4 | 6): string | undefined =>
    network.internal
      ? undefined
      : network.subnets.find(({ subnet }) => subnet.includes(":") === (version === 6))?.gateway;
  const [gateway4, gateway6] = [gateway(4), gateway(6)];
  const driver = parentDriver(network);
  return {
    network: network.name,
    networkId: network.id,
    bridge: network.link,
    link: linkName(id, index),
    device: `eth${index}`,
    mac: macFor(network, asked, ip ?? ip6),
    ...(driver === undefined ? {} : { driver }),
    ...(isRouted(network) ? { isRouted: true } : {}),
    ...(ip === undefined ? {} : { ip }),
    ...(ip6 === undefined ? {} : { ip6 }),
    ...(gateway4 === undefined ? {} : { gateway: gateway4 }),
    ...(gateway6 === undefined ? {} : { gateway6 }),
    aliases: [...new Set([name, id.slice(0, 12), hostname, ...(asked.aliases ?? [])])],
  };
}

/** @throws {MydockerError} for one that is asked for where devices have that of their parent */
function macFor({ driver }: Network, { mac }: EndpointRequest, ip = "0.0.0.0"): string {
  if (driver !== "ipvlan") return mac ?? macOf(ip);
  if (mac === undefined) return "";
  throw refused("ipvlan interfaces do not support custom mac address assignment");
}

/** What is known of a port of the host, before it is known where it leads. */
export function publish(
  { request, hostPort, versions }: ReservedPort,
  endpoints: readonly Endpoint[],
): PublishedPort[] {
  const { protocol, port, hostIp } = request;
  const where = hostIp === undefined || isAny(hostIp) ? {} : { hostIp };
  return versions.map((version) =>
    lead({ protocol, version, hostPort, port, ip: "", ...where }, endpoints),
  );
}

/**
 * Where a port of the host leads: to the first network that has an address of its version, or for IPv6
 * to one of IPv4, by the proxy.
 */
export function lead(port: PublishedPort, endpoints: readonly Endpoint[]): PublishedPort {
  const onBridges = endpoints.filter(isOnBridge);
  const own6 = port.version === 6 ? onBridges.find(({ gateway6 }) => gateway6) : undefined;
  const ip = own6?.ip6 ?? onBridges.find(({ gateway }) => gateway)?.ip;
  return { ...port, ip: ip?.replace(/\/.*/, "") ?? "" };
}

/** Makes both sides of a connection: ours a port of the bridge, the other in the container. */
export function plug(
  socket: RouteSocket,
  endpoint: Endpoint,
  bridge: { readonly index: number; readonly mtu: number },
  namespace: number,
): void {
  const { link: name, device, mac, network } = endpoint;
  const { mtu } = bridge;
  const request = newLink({
    name,
    mtu,
    master: bridge.index,
    up: true,
    kind: {
      type: "veth",
      peer: { name: device, mtu, address: hardwareAddress(mac), namespace: { fd: namespace } },
    },
  });
  try {
    try {
      socket.change(request);
    } catch (error) {
      if (!(error instanceof NetlinkError) || error.code !== "EEXIST") throw error;
      socket.change(deleteLink({ name })); // of a process that was started before and hung
      socket.change(request);
    }
  } catch (error) {
    if (!(error instanceof NetlinkError)) throw error;
    throw new MydockerError(`cannot connect the container to network ${network}: ${error.reason}`, {
      exitCode: 125,
      cause: error,
      hint:
        error.code === "EPERM"
          ? "that needs CAP_NET_ADMIN; --network none and --network host do without"
          : "`mydocker doctor` says what is missing; --network none needs no veth",
    });
  }
}

/** Gives a container's side its addresses and routes, in the container's network namespace. */
export function configure(inside: RouteSocket, endpoint: Endpoint, hasDefault: boolean): void {
  const { device, ip, ip6, network } = endpoint;
  try {
    const link = inside.link({ name: device });
    if (link === undefined) throw new Error(`${device} has vanished`);
    const { index } = link;
    if (ip6 === undefined) parameter(`ipv6/conf/${device}/disable_ipv6`, "1");
    for (const text of [ip, ip6]) {
      const local = text === undefined ? undefined : parseIp(text.replace(/\/.*/, ""));
      if (text === undefined || local === undefined) continue;
      const prefixLength = Number(text.slice(text.indexOf("/") + 1));
      const flags = local.length === 16 ? IFA_F_NODAD : 0;
      const broadcast = broadcastOf(local, prefixLength);
      inside.change(
        newAddress(index, {
          local,
          prefixLength,
          scope: RT_SCOPE_UNIVERSE,
          flags,
          ...(broadcast === undefined ? {} : { broadcast }),
        }),
      );
    }
    inside.change(setLink({ index }, { up: true }));
    if (!hasDefault) return;
    for (const route of defaultRoutes(endpoint, index)) inside.change(route);
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    const why = error instanceof NetlinkError ? error.reason : error.message;
    throw new MydockerError(`cannot set up ${device} on network ${network}: ${why}`, {
      exitCode: 125,
      cause: error,
    });
  }
}

/** A container's default routes, by a device of its with this index. */
export function defaultRoutes(
  { gateway, gateway6, isRouted: byDevice }: Endpoint,
  device: number,
): Request[] {
  const both = [
    [4, gateway],
    [6, gateway6],
  ] as const;
  return both.flatMap(([version, text]) => {
    const via = text === undefined ? undefined : parseIp(text);
    if (via === undefined) return [];
    return newRoute({ version, device, ...(byDevice === true ? {} : { gateway: via }) });
  });
}

function broadcastOf(local: Uint8Array, length: number): Uint8Array | undefined {
  if (local.length !== 4 || length > 30) return undefined;
  return local.map((byte, at) => byte | (0xff >> Math.min(8, Math.max(0, length - at * 8))));
}
