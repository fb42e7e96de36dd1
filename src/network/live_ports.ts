/** Ports of a container that runs, published by the process that attends to it: it holds them. */
import { setHairpin } from "../netlink/link.ts";
import { RouteSocket } from "../netlink/route_socket.ts";
import { publish } from "./connect.ts";
import type { PortDoor } from "./door.ts";
import { Firewall } from "./firewall.ts";
import { checkProxied, letGoOf, type PortRequest, reservePorts } from "./ports.ts";
import {
  type ContainerNetworks,
  exclusively,
  type PublishedPort,
  readNetworks,
  writeNetworks,
} from "./state.ts";

/** @param replace instead of those that it has @throws {MydockerError} for a port in use; then all is as it was */
export function publishLive(
  requests: readonly PortRequest[],
  replace: boolean,
  door: PortDoor,
): void {
  const { paths, id } = door;
  exclusively(paths, () => {
    const before = readNetworks(paths, id);
    if (before === undefined) return;
    using firewall = new Firewall(paths);
    if (replace) {
      firewall.dismiss({ endpoints: [], ports: before.ports });
      letGoOf(before.ports, door);
    }
    let added: readonly PublishedPort[];
    try {
      added = hold(before, requests, door, firewall);
    } catch (error) {
      if (replace) {
        hold(before, again(before.ports), door, firewall);
        firewall.admit({ endpoints: [], ports: before.ports });
      }
      throw error;
    }
    const state = { ...before, ports: [...(replace ? [] : before.ports), ...added] };
    writeNetworks(paths, state);
    if (state.ports.length > 0) reachItself(state);
    firewall.admit({ endpoints: state.ports.length === 0 ? [] : state.endpoints, ports: added });
  });
}

function hold(
  { endpoints }: ContainerNetworks,
  requests: readonly PortRequest[],
  door: PortDoor,
  { isThere }: Firewall,
): readonly PublishedPort[] {
  using undo = new DisposableStack();
  const ports = reservePorts(requests, door, undo).flatMap((port) => publish(port, endpoints));
  if (!isThere) checkProxied(ports);
  undo.move(); // they end with the door
  return ports;
}

/** What was asked for: of one on all addresses there is a port of IPv4 and one of IPv6. */
function again(ports: readonly PublishedPort[]): PortRequest[] {
  const asked = ports.map(({ protocol, port, hostIp, hostPort }): PortRequest => {
    const where = hostIp === undefined ? {} : { hostIp };
    return { protocol, port, hostPorts: [hostPort, hostPort], ...where };
  });
  return [...new Map(asked.map((each) => [JSON.stringify(each), each])).values()];
}

/** As Connection.attach does for a container that has published ports from the beginning. */
function reachItself({ endpoints }: ContainerNetworks): void {
  using socket = new RouteSocket();
  for (const { link } of endpoints) {
    const own = socket.link({ name: link });
    if (own !== undefined) socket.change(setHairpin(own.index, true));
  }
}
