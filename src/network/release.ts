/** Giving back what a container has of networks: by whoever ran it, or who cleans up behind that one. */
import { isErrno, SysError } from "../ffi/call.ts";
import { readlinkIfLink, unlinkIfExists } from "../linux/file.ts";
import { deleteLink } from "../netlink/link.ts";
import { RouteSocket } from "../netlink/route_socket.ts";
import type { Paths } from "../paths.ts";
import { Firewall, isOnBridge } from "./firewall.ts";
import { dropNames } from "./names.ts";
import {
  allLeases,
  type ContainerNetworks,
  dropLease,
  dropNetworks,
  readNetworks,
} from "./state.ts";

/**
 * Removes links, rules and leases of a container whose processes are gone, whatever of them there is.
 * The record of them is last.
 */
export function releaseNetworks(paths: Paths, id: string): void {
  const state = readNetworks(paths, id);
  if (state === undefined) {
    // It may have been killed after it took an address, and before it wrote that down.
    for (const { path } of allLeases(paths)) {
      if (readlinkIfLink(path) === id) unlinkIfExists(path);
    }
    dropNetworks(paths, id);
    return;
  }
  dropNames(paths, id, state.endpoints);
  dismiss(paths, state);
  // The namespace takes a while to die, and until then it would answer for an address that is another's.
  unplug(state.endpoints.filter(isOnBridge).map(({ link }) => link));
  for (const { networkId, ip, ip6 } of state.endpoints) {
    for (const address of [ip, ip6]) {
      if (address !== undefined) dropLease(paths, networkId, address.replace(/\/.*/, ""));
    }
  }
  dropNetworks(paths, id);
}

function dismiss(paths: Paths, state: ContainerNetworks): void {
  if (!state.endpoints.some(isOnBridge)) return;
  using firewall = new Firewall(paths);
  firewall.dismiss(state);
}

/** Removes our sides of connections, and with them the others. What is not there is fine. */
export function unplug(links: readonly string[]): void {
  if (links.length === 0) return;
  using socket = new RouteSocket();
  for (const name of links) {
    try {
      socket.change(deleteLink({ name }));
    } catch (error) {
      if (!(error instanceof SysError) || !isErrno(error, "ENODEV")) throw error;
    }
  }
}
