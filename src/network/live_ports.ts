/** Ports of a container that runs, published by the process that attends to it: it holds them. */
import { setHairpin } from "../netlink/link.ts";
import { RouteSocket } from "../netlink/route_socket.ts";
import type { Paths } from "../paths.ts";
import { publish } from "./connect.ts";
import { Firewall } from "./firewall.ts";
import { letGoOf, type PortRequest, reservePorts } from "./ports.ts";
import {
  type ContainerNetworks,
  exclusively,
  type PublishedPort,
  readNetworks,
  writeNetworks,
} from "./state.ts";

/** @param replace instead of those that it has @throws {MydockerError} for a port in use; then all is as it was */
export function publishLive(
  paths: Paths,
  id: string,
  requests: readonly PortRequest[],
  replace: boolean,
): void {
  exclusively(paths, () => {
    const before = readNetworks(paths, id);
    if (before === undefined) return;
    using firewall = new Firewall(paths);
    if (replace) {
      firewall.dismiss({ endpoints: [], ports: before.ports });
      letGoOf(before.ports);
    }
    let added: readonly PublishedPort[];
    try {
      added = hold(before, requests);
    } catch (error) {
      if (replace) {
        hold(before, before.ports.map(again));
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
): readonly PublishedPort[] {
  using undo = new DisposableStack();
  const ports = reservePorts(requests, undo).flatMap((port) => publish(port, endpoints));
  undo.move(); // they end with this process
  return ports;
}

const again = ({ protocol, port, hostIp, hostPort }: PublishedPort): PortRequest => ({
  protocol,
  port,
  hostPorts: [hostPort, hostPort],
  ...(hostIp === undefined ? {} : { hostIp }),
});

/** As Connection.attach does for a container that has published ports from the beginning. */
function reachItself({ endpoints }: ContainerNetworks): void {
  using socket = new RouteSocket();
  for (const { link } of endpoints) {
    const own = socket.link({ name: link });
    if (own !== undefined) socket.change(setHairpin(own.index, true));
  }
}
