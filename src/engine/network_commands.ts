/** `network create`, `ls`, `inspect`, `rm` and `prune`. */
import { MydockerError, NotFoundError } from "../errors.ts";
import { type CreateRequest, createNetwork, PREDEFINED } from "../network/create.ts";
import { defaultNetwork } from "../network/make.ts";
import { DEFAULT_NETWORK, type Network } from "../network/network.ts";
import { membersOf, removeNetwork } from "../network/remove.ts";
import type { Endpoint } from "../network/state.ts";
import { allNetworks, resolveNetwork } from "../network/store.ts";
import type { Paths } from "../paths.ts";
import { recordEvent } from "./events.ts";
import { meets, type PruneConditions } from "./prune_conditions.ts";
import { recover } from "./recovery.ts";

/** A network, or one of the modes that Docker lists as networks. */
export interface ListedNetwork extends Omit<Network, "driver"> {
  readonly driver: Network["driver"] | "host" | "null";
}

/** With who is on it. */
export interface InspectedNetwork extends ListedNetwork {
  readonly members: readonly {
    readonly id: string;
    readonly name: string;
    readonly endpoint: Endpoint;
  }[];
}

/** `host` and `none` have always been there. */
function mode(name: "host" | "none"): ListedNetwork {
  const id = new Bun.CryptoHasher("sha256").update(`mydocker network ${name}`).digest("hex");
  return {
    name,
    id,
    driver: name === "host" ? "host" : "null",
    created: "1970-01-01T00:00:00Z",
    link: "",
    subnets: [],
    internal: false,
    ipv6: false,
    options: {},
    labels: {},
  };
}

/** Makes a network. @returns its id */
export function makeNamedNetwork(paths: Paths, request: CreateRequest): string {
  recover(paths);
  const network = createNetwork(paths, request);
  say(paths, "create", network);
  return network.id;
}

function say(paths: Paths, action: string, { id, name, driver }: Network): void {
  recordEvent(paths, "network", action, id, { name, type: driver });
}

/** All networks by name, and what is wrong with those that are damaged. */
export function listNetworks(paths: Paths): {
  readonly networks: readonly ListedNetwork[];
  readonly problems: readonly MydockerError[];
} {
  recover(paths);
  const problems: MydockerError[] = [];
  try {
    defaultNetwork(paths);
  } catch (error) {
    if (!(error instanceof MydockerError)) throw error;
    problems.push(error); // a machine without addresses that are free
  }
  const own = allNetworks(paths, (error) => problems.push(error));
  const networks = [...own, mode("host"), mode("none")];
  return { networks: networks.toSorted((a, b) => (a.name < b.name ? -1 : 1)), problems };
}

/** A network by name, id, or the beginning of its id. @throws {MydockerError} when there is none */
export function inspectNetwork(paths: Paths, reference: string): InspectedNetwork {
  recover(paths);
  const isMode = (name: string): name is "host" | "none" => name === "host" || name === "none";
  if (isMode(reference)) return { ...mode(reference), members: [] };
  const network =
    reference === DEFAULT_NETWORK ? defaultNetwork(paths) : resolveNetwork(paths, reference);
  return { ...network, members: membersOf(paths, network) };
}

/** Removes a network. @throws {MydockerError} when somebody is on it, when it is not there, when it is one of Docker's */
export function removeNamedNetwork(paths: Paths, reference: string): void {
  recover(paths);
  const name = PREDEFINED.find((each) => each === reference);
  if (name !== undefined) throw predefined(name);
  const network = resolveNetwork(paths, reference);
  if (network.name === DEFAULT_NETWORK) throw predefined(network.name);
  removeNetwork(paths, network);
  say(paths, "destroy", network);
}

const predefined = (name: string) =>
  new MydockerError(`${name} is a pre-defined network and cannot be removed`);

/** Removes networks that nobody is on. @returns their names */
export function pruneNetworks(
  paths: Paths,
  conditions: PruneConditions,
): { readonly removed: readonly string[]; readonly problems: readonly MydockerError[] } {
  recover(paths);
  const [removed, problems]: [string[], MydockerError[]] = [[], []];
  for (const network of allNetworks(paths, (error) => problems.push(error))) {
    if (network.name === DEFAULT_NETWORK || !meets(network, conditions)) continue;
    if (membersOf(paths, network).length > 0) continue;
    try {
      removeNetwork(paths, network);
      say(paths, "destroy", network);
      removed.push(network.name);
    } catch (error) {
      if (error instanceof NotFoundError) continue;
      if (!(error instanceof MydockerError)) throw error;
      problems.push(error);
    }
  }
  return { removed, problems };
}
