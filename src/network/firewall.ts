/** Our firewall in the kernel: made when it is missing, told of networks and containers. */
import { MydockerError } from "../errors.ts";
import { SysError } from "../ffi/call.ts";
import { statIfExists } from "../linux/file.ts";
import { log } from "../log.ts";
import type { NetlinkError, Request } from "../netlink/message.ts";
import { addElement, deleteTable, newTable, removeElement } from "../netlink/nft_message.ts";
import { lacksNftables, NftSocket } from "../netlink/nft_socket.ts";
import type { Paths } from "../paths.ts";
import { setForwarding } from "./forwarding.ts";
import type { Network } from "./network.ts";
import {
  bridgeTable,
  endpointElements,
  inetTable,
  networkElements,
  portElements,
  selfElements,
  type Tables,
} from "./rules.ts";
import {
  allNetworksInUse,
  type ContainerNetworks,
  type Endpoint,
  exclusively,
  hasNetworks,
} from "./state.ts";
import { allNetworks } from "./store.ts";

/** What names of ours end in: nothing in the usual place, so that installations keep apart. */
export function suffixOf({ root }: Paths): string {
  if (root === "/var/lib/mydocker") return "";
  return BigInt.asUintN(32, BigInt(Bun.hash(root)))
    .toString(16)
    .padStart(8, "0");
}

/** The tables of this installation. */
export function tablesOf(paths: Paths): Tables {
  const suffix = suffixOf(paths);
  const name = suffix === "" ? "mydocker" : `mydocker_${suffix}`;
  return { inet: { family: "inet", name }, bridge: { family: "bridge", name } };
}

/** Others pass by the host, and by its firewall. */
export const isOnBridge = ({ driver }: Endpoint): boolean => driver === undefined;

type What = Pick<ContainerNetworks, "endpoints" | "ports">;

function requestsFor(
  tables: Tables,
  { endpoints, ports }: What,
  make: typeof addElement,
): { inet: Request[]; bridge: Request[] } {
  const onBridges = endpoints.filter(isOnBridge);
  const selves = ports.length === 0 ? [] : onBridges.flatMap(selfElements);
  return {
    inet: [...ports.flatMap(portElements), ...selves].map((element) => make(tables.inet, element)),
    bridge: onBridges.flatMap(endpointElements).map((element) => make(tables.bridge, element)),
  };
}

/** One warning is enough. */
let hasWarned = false;

/** The firewall of one installation. */
export class Firewall implements Disposable {
  /** undefined where the kernel has no nf_tables */
  #socket: NftSocket | undefined;
  readonly #tables: Tables;
  /** Until we know better. */
  #hasBridgeTable = true;

  /** @throws {MydockerError} when it is not ours to use */
  constructor(readonly paths: Paths) {
    this.#tables = tablesOf(paths);
    try {
      this.#socket = new NftSocket();
    } catch (error) {
      if (!lacksNftables(error)) throw explain(error);
      this.#isMissing(error);
    }
  }

  [Symbol.dispose](): void {
    this.#socket?.[Symbol.dispose]();
  }

  /** Whether there is one: as far as is known, until something has been added. */
  get isThere(): boolean {
    return this.#socket !== undefined;
  }

  #isMissing(error: unknown): void {
    const why = error instanceof SysError ? ` (${error.code})` : "";
    this.#socket?.[Symbol.dispose]();
    this.#socket = undefined;
    if (hasWarned) return;
    hasWarned = true;
    log.warn(
      `this kernel has no nf_tables${why}: containers on bridges reach nothing outside of this host, can use each other's addresses, and their published ports are served by a proxy, so that every client has the gateway's address`,
    );
  }

  /** Lets a network's bridge be one of ours. */
  addNetwork(network: Network): void {
    const add = networkElements(network).map((element) => addElement(this.#tables.inet, element));
    this.#apply(add);
  }

  /** Forgets a network's bridge. What is not there is fine. */
  removeNetwork(network: Network): void {
    const elements = networkElements(network);
    this.#removeEach(elements.map((element) => removeElement(this.#tables.inet, element)));
  }

  /** Opens a container's ports, and lets it send from its addresses. */
  admit(what: What): void {
    const { inet, bridge } = requestsFor(this.#tables, what, addElement);
    this.#apply([...inet, ...bridge]);
  }

  /** The opposite. What is not there is fine. */
  dismiss(what: What): void {
    const { inet, bridge } = requestsFor(this.#tables, what, removeElement);
    this.#removeEach([...inet, ...bridge]);
  }

  /** Removes all of it. */
  removeAll(): void {
    for (const table of [this.#tables.inet, this.#tables.bridge]) {
      this.#socket?.commit([newTable(table), deleteTable(table)]);
    }
  }

  #apply(requests: readonly Request[]): void {
    if (requests.length === 0) return;
    const [error] = this.#try(requests);
    if (error === undefined) return;
    if (lacksNftables(error)) return this.#isMissing(error);
    if (error.code !== "ENOENT") throw explain(error);
    // The first since the boot, or somebody has flushed the ruleset.
    this.rebuild();
    const [again] = this.#try(requests);
    if (again !== undefined) throw explain(again);
  }

  #try(requests: readonly Request[]): NetlinkError[] {
    const possible = this.#hasBridgeTable
      ? requests
      : requests.filter(({ args }) => !isOfBridges(args));
    return possible.length === 0 ? [] : (this.#socket?.tryCommit(possible) ?? []);
  }

  #removeEach(requests: readonly Request[]): void {
    if (requests.length === 0 || this.#socket === undefined) return;
    if (this.#socket.tryCommit(requests).length === 0) return;
    for (const request of requests) this.#socket.tryCommit([request]);
  }

  /** Makes the tables anew, with all that is known of networks and running containers. */
  rebuild(): void {
    exclusively(this.paths, () => {
      const inUse = allNetworksInUse(this.paths);
      const all = inUse.map((state) => requestsFor(this.#tables, state, addElement));
      const networks = allNetworks(this.paths);
      const socket = this.#socket;
      if (socket === undefined) return;
      const refused = socket.tryCommit([
        ...inetTable(this.#tables),
        ...networks
          .flatMap(networkElements)
          .map((element) => addElement(this.#tables.inet, element)),
        ...all.flatMap(({ inet }) => inet),
      ])[0];
      // ENOENT: nf_tables is there, without what NAT needs.
      if (refused !== undefined && (lacksNftables(refused) || refused.code === "ENOENT"))
        return this.#isMissing(refused);
      if (refused !== undefined) throw explain(refused);
      for (const network of networks) if (hasBridge(network)) setForwarding(network, true);
      const without = socket.tryCommit([
        ...bridgeTable(this.#tables),
        ...all.flatMap(({ bridge }) => bridge),
      ])[0];
      if (without !== undefined) {
        this.#hasBridgeTable = false;
        log.warn(
          `containers can use each other's addresses: nf_tables has no table for bridges (${without.reason})`,
        );
      }
      for (const state of inUse) if (!hasNetworks(this.paths, state.id)) this.dismiss(state);
    });
  }
}

const hasBridge = ({ driver, link }: Network): boolean =>
  driver === "bridge" && statIfExists(`/proc/sys/net/ipv4/conf/${link}`) !== undefined;

const isOfBridges = (args: Request["args"]): boolean =>
  ["links", "sources4", "sources6"].includes(String(args["set"]));

function explain(error: unknown): unknown {
  if (!(error instanceof SysError)) return error;
  const why = error.code === "EPERM" ? "not permitted (CAP_NET_ADMIN is needed)" : error.message;
  return new MydockerError(`cannot set up the firewall: ${why}`, {
    exitCode: 125,
    cause: error,
    hint: "`mydocker doctor` says what is missing; --network none and --network host need no firewall",
  });
}
