/**
 * Names of containers on networks: a directory for each name, and in it a symbolic link for each
 * container that has it, whose target is its addresses. So a lookup takes as long on a network with
 * a thousand containers as on one with two.
 */
import { isErrno } from "../ffi/call.ts";
import { readDirectory } from "../linux/directory.ts";
import {
  ifExists,
  makeDirectories,
  readlinkIfLink,
  rmdirIfEmpty,
  symlink,
  unlinkIfExists,
} from "../linux/file.ts";
import type { Paths } from "../paths.ts";
import { DEFAULT_NETWORK } from "./network.ts";
import {
  changed,
  type Endpoint,
  exclusively,
  hasNetworks,
  leaseHolder,
  readNetworks,
  writeNetworks,
} from "./state.ts";

/** What can be a name, and the name of a directory. */
const NAME = /^[a-z0-9_][a-z0-9_.-]{0,251}$/;
/** The directory may be removed by somebody else between its making and ours of a link in it. */
const ATTEMPTS = 100;

const directoryOf = (paths: Paths, networkId: string): string =>
  `${paths.run}/networks/names/${networkId}`;

/** Who has names on a network, and which addresses go with them. */
type Named = Pick<Endpoint, "network" | "networkId" | "ip" | "ip6" | "aliases">;

const namesOf = ({ aliases }: Named): string[] => [
  ...new Set(aliases.map((name) => name.toLowerCase()).filter((name) => NAME.test(name))),
];

/** Lets others find a container. On the default network nobody does, as with Docker. */
export function addNames(paths: Paths, id: string, endpoints: readonly Named[]): void {
  for (const endpoint of endpoints) {
    if (endpoint.network === DEFAULT_NETWORK) continue;
    const addresses = [endpoint.ip, endpoint.ip6].map((ip) => ip?.replace(/\/.*/, "") ?? "");
    for (const name of namesOf(endpoint)) {
      addName(`${directoryOf(paths, endpoint.networkId)}/${name}`, id, addresses.join(","));
    }
    changed(paths);
  }
}

function addName(directory: string, id: string, target: string): void {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    try {
      symlink(target, `${directory}/${id}`);
      return;
    } catch (error) {
      if (isErrno(error, "EEXIST")) unlinkIfExists(`${directory}/${id}`);
      else if (isErrno(error, "ENOENT")) makeDirectories(directory);
      else throw error;
    }
  }
}

/** The opposite. */
export function dropNames(paths: Paths, id: string, endpoints: readonly Named[]): void {
  for (const endpoint of endpoints) {
    if (endpoint.network === DEFAULT_NETWORK) continue;
    for (const name of namesOf(endpoint)) {
      const directory = `${directoryOf(paths, endpoint.networkId)}/${name}`;
      unlinkIfExists(`${directory}/${id}`);
      ifExists(() => rmdirIfEmpty(directory));
    }
    changed(paths);
  }
}

/** A container that runs is called otherwise from now on; its aliases stay. */
export function renameOnNetworks(paths: Paths, id: string, name: string): void {
  if (!hasNetworks(paths, id)) return;
  exclusively(paths, () => {
    const state = readNetworks(paths, id);
    if (state === undefined) return;
    const withAliases = (change: (aliases: readonly string[]) => readonly string[]) =>
      state.endpoints.map((each) => ({ ...each, aliases: change(each.aliases) }));
    // Both are on record meanwhile: should we be killed, whoever cleans up finds both.
    const both = withAliases((aliases) => [...new Set([...aliases, name])]);
    writeNetworks(paths, { ...state, endpoints: both });
    addNames(paths, id, both);
    dropNames(
      paths,
      id,
      withAliases(() => [state.name]),
    );
    const endpoints = withAliases((aliases) => [
      ...new Set(aliases.map((alias) => (alias === state.name ? name : alias))),
    ]);
    writeNetworks(paths, { ...state, name, endpoints });
  });
}

/** Forgets a network. */
export function dropNetworkNames(paths: Paths, networkId: string): void {
  ifExists(() => rmdirIfEmpty(directoryOf(paths, networkId)));
  ifExists(() => rmdirIfEmpty(`${paths.run}/networks/names`));
}

/** Addresses of a name, in no order; undefined when nobody has it. */
export interface Found {
  readonly ip: readonly string[];
  readonly ip6: readonly string[];
}

/**
 * Looks a name up as a container sees it: on its networks, one after the other; `name.network` on
 * that one alone.
 */
export function lookUpName(
  paths: Paths,
  endpoints: readonly Named[],
  asked: string,
): Found | undefined {
  for (const { network, networkId } of endpoints) {
    if (network === DEFAULT_NETWORK) continue;
    const suffix = `.${network.toLowerCase()}`;
    const names = asked.endsWith(suffix) ? [asked.slice(0, -suffix.length), asked] : [asked];
    for (const name of names) {
      const found = NAME.test(name) ? read(`${directoryOf(paths, networkId)}/${name}`) : undefined;
      if (found !== undefined) return found;
    }
  }
  return undefined;
}

function read(directory: string): Found | undefined {
  const ids = ifExists(() => readDirectory(directory)) ?? [];
  const pairs = ids.flatMap((id) => {
    const target = ifExists(() => readlinkIfLink(`${directory}/${id}`));
    return target === undefined ? [] : [target.split(",")];
  });
  if (pairs.length === 0) return undefined;
  const all = (at: number) => pairs.map((pair) => pair[at] ?? "").filter((ip) => ip !== "");
  return { ip: all(0), ip6: all(1) };
}

/** `name.network` of who has an address. */
export function lookUpAddress(
  paths: Paths,
  endpoints: readonly Named[],
  ip: string,
): string | undefined {
  for (const { network, networkId } of endpoints) {
    if (network === DEFAULT_NETWORK) continue;
    const id = leaseHolder(paths, networkId, ip);
    const name = id === undefined ? undefined : readNetworks(paths, id)?.name;
    if (name !== undefined) return `${name}.${network}`;
  }
  return undefined;
}
