/** Removing networks that nobody is on. */
import { MydockerError } from "../errors.ts";
import { isErrno } from "../ffi/call.ts";
import { deleteLink } from "../netlink/link.ts";
import { RouteSocket } from "../netlink/route_socket.ts";
import type { Paths } from "../paths.ts";
import { Firewall } from "./firewall.ts";
import { dropNetworkNames } from "./names.ts";
import type { Network } from "./network.ts";
import { removeParent } from "./parent.ts";
import {
  allNetworksInUse,
  dropLeases,
  exclusively,
  leasedAddresses,
  sweepLeases,
} from "./state.ts";
import { dropNetwork } from "./store.ts";

/** The containers that are on a network. */
export function membersOf(paths: Paths, { id }: Network) {
  return allNetworksInUse(paths).flatMap((state) => {
    const endpoint = state.endpoints.find(({ networkId }) => networkId === id);
    return endpoint === undefined ? [] : [{ id: state.id, name: state.name, endpoint }];
  });
}

/** Removes a network: its bridge, rules, and last what is on record of it. @throws {MydockerError} when somebody is on it */
export function removeNetwork(paths: Paths, network: Network): void {
  exclusively(paths, () => {
    const members = membersOf(paths, network);
    sweepLeases(paths, network.id);
    if (members.length > 0 || leasedAddresses(paths, network.id).length > 0) {
      const names = members.map(({ name, id }) => `name:"${name}" id:"${id.slice(0, 12)}"`);
      const who = names.length === 0 ? "a container that starts" : names.join(", ");
      throw new MydockerError(
        `error while removing network: network ${network.name} has active endpoints (${who})`,
      );
    }
    if (network.driver === "bridge") {
      removeBridge(network);
      using firewall = new Firewall(paths);
      firewall.removeNetwork(network);
    } else removeParent(network);
    dropNetworkNames(paths, network.id);
    dropLeases(paths, network.id);
    dropNetwork(paths, network.name);
  });
}

function removeBridge({ link: name }: Network): void {
  using socket = new RouteSocket();
  // It may have been made by somebody else, who keeps it for another purpose.
  if (socket.link({ name })?.kind !== "bridge") return;
  try {
    socket.change(deleteLink({ name }));
  } catch (error) {
    if (!isErrno(error, "ENODEV")) throw error;
  }
}
