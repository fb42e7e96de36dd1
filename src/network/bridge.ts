/** A network's bridge on the host: made when it is first needed since the boot. */
import { MydockerError } from "../errors.ts";
import { SysError } from "../ffi/call.ts";
import { IFA_F_NODAD, newAddress, RT_SCOPE_UNIVERSE } from "../netlink/address.ts";
import { parseIp } from "../netlink/ip_address.ts";
import { deleteLink, IFF_UP, type Link, newLink, setLink } from "../netlink/link.ts";
import { NetlinkError } from "../netlink/message.ts";
import type { RouteSocket } from "../netlink/route_socket.ts";
import type { Paths } from "../paths.ts";
import type { Firewall } from "./firewall.ts";
import { parameter, setForwarding } from "./forwarding.ts";
import type { Network } from "./network.ts";
import { overlap, type Prefix, readPrefix, toNumber } from "./prefix.ts";
import { hardwareAddress } from "./rules.ts";
import { exclusively } from "./state.ts";
import { readNetwork } from "./store.ts";

const RT_TABLE_LOCAL = 255;

/** The bridge, made if it is missing. What was begun and not finished is done again. */
export function openBridge(
  paths: Paths,
  network: Network,
  socket: RouteSocket,
  firewall: () => Firewall,
): Link {
  const found = socket.link({ name: network.link });
  if (found !== undefined && isFinished(found)) return found;
  return exclusively(paths, () => {
    if (readNetwork(paths, network.name)?.id !== network.id)
      throw new MydockerError(`network ${network.name} has just been removed`, { exitCode: 125 });
    return makeBridge(network, socket, firewall());
  });
}

/** It is brought up last. */
const isFinished = ({ kind, flags }: Link): boolean => kind === "bridge" && (flags & IFF_UP) !== 0;

function makeBridge(network: Network, socket: RouteSocket, firewall: Firewall): Link {
  const { link: name } = network;
  const found = socket.link({ name });
  if (found !== undefined) {
    if (isFinished(found)) return found; // by another command meanwhile
    if (found.kind !== "bridge") {
      throw new MydockerError(`${name} is no bridge: network ${network.name} cannot have it`, {
        exitCode: 125,
      });
    }
    socket.change(deleteLink({ name }));
  }
  checkRoutes(network, socket);
  firewall.addNetwork(network);
  try {
    return build(network, socket, firewall.isThere);
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    const why = error instanceof NetlinkError ? error.reason : error.message;
    throw new MydockerError(`cannot make ${name}, the bridge of network ${network.name}: ${why}`, {
      exitCode: 125,
      cause: error,
      hint:
        error.code === "EPERM"
          ? "that needs CAP_NET_ADMIN; --network none and --network host do without"
          : "`mydocker doctor` says what is missing; --network none and --network host need no bridge",
    });
  }
}

function build(network: Network, socket: RouteSocket, isFiltered: boolean): Link {
  const { link: name, subnets, ipv6 } = network;
  const mtu = Number(network.options["com.docker.network.driver.mtu"] ?? Number.NaN);
  const [first] = subnets;
  socket.change(
    newLink({
      name,
      kind: { type: "bridge" },
      address: hardwareAddress(macOf(first?.gateway ?? "0.0.0.0")),
      ...(mtu > 0 ? { mtu } : {}),
    }),
  );
  const link = socket.link({ name }) as Link;
  parameter(`ipv6/conf/${name}/disable_ipv6`, ipv6 ? "0" : "1");
  parameter(`ipv6/conf/${name}/accept_ra`, "0");
  setForwarding(network, isFiltered);
  for (const { gateway, subnet } of subnets) {
    const local = parseIp(gateway);
    if (local === undefined) continue;
    socket.change(
      newAddress(link.index, {
        local,
        prefixLength: readPrefix(subnet).length,
        scope: RT_SCOPE_UNIVERSE,
        flags: local.length === 16 ? IFA_F_NODAD : 0,
      }),
    );
  }
  socket.change(setLink({ index: link.index }, { up: true }));
  return link;
}

/** Docker's, so that one who gets an address again is known by the same hardware address. */
export function macOf(ip: string): string {
  const bytes = parseIp(ip.replace(/\/.*/, "")) ?? new Uint8Array(4);
  const tail = [...bytes.subarray(-4)].map((byte) => byte.toString(16).padStart(2, "0"));
  return ["02", "42", ...tail].join(":");
}

/** The networks that this host has routes to, the rest of the world aside. */
export function routedPrefixes(socket: RouteSocket, version: 4 | 6): Prefix[] {
  return socket.routes(version).flatMap(({ destination, table }) => {
    const isOwn = table === RT_TABLE_LOCAL; // addresses, not networks
    if (destination === undefined || destination.prefixLength === 0 || isOwn) return [];
    return [{ version, first: toNumber(destination.address), length: destination.prefixLength }];
  });
}

function checkRoutes(network: Network, socket: RouteSocket): void {
  for (const { subnet } of network.subnets) {
    const prefix = readPrefix(subnet);
    const routed = routedPrefixes(socket, prefix.version);
    if (!routed.some((other) => overlap(prefix, other))) continue;
    throw new MydockerError(
      `the subnet ${subnet} of network ${network.name} overlaps with a network that this host has a route to`,
      { exitCode: 125, hint: "`ip route` shows them; make the network anew with another --subnet" },
    );
  }
}
