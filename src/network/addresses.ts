/** Which subnets networks get, and which addresses containers. */
import { MydockerError } from "../errors.ts";
import { parseIp } from "../netlink/ip_address.ts";
import type { Paths } from "../paths.ts";
import type { Network, Subnet } from "./network.ts";
import {
  bitsOf,
  contains,
  formatAddress,
  lastOf,
  overlap,
  type Prefix,
  readPrefix,
  toNumber,
} from "./prefix.ts";
import { exclusively, leasedAddresses, sweepLeases, takeLease } from "./state.ts";

/** Docker's default pools (libnetwork/ipamutils): 172.17.0.0/16 to 172.31, then /20s of 192.168. */
function* pools(): Generator<Prefix> {
  for (let second = 17; second < 32; second++) yield readPrefix(`172.${second}.0.0/16`);
  for (let third = 0; third < 256; third += 16) yield readPrefix(`192.168.${third}.0/20`);
}

/** A free subnet of the pools. @param taken by other networks, and by routes of the host */
export function chooseSubnet(taken: readonly Prefix[]): Prefix {
  for (const pool of pools()) {
    if (!taken.some((other) => overlap(pool, other))) return pool;
  }
  throw new MydockerError(
    "could not find an available, non-overlapping IPv4 address pool among the defaults to assign to the network",
    { exitCode: 125, hint: "name one with --subnet" },
  );
}

/** Its first address that is no network's own, as a gateway. */
export const usualGateway = (prefix: Prefix): string =>
  formatAddress(prefix.first + 1n, prefix.version);

/** The addresses that a subnet has for containers, from the first to the last. */
function bounds({ subnet, range }: Subnet): { prefix: Prefix; first: bigint; last: bigint } {
  const prefix = readPrefix(subnet);
  const part = range === undefined ? prefix : readPrefix(range);
  const isWhole = bitsOf(prefix.version) - prefix.length <= 1; // RFC 3021: neither is special
  const [lowest, highest] = isWhole
    ? [prefix.first, lastOf(prefix)]
    : [prefix.first + 1n, lastOf(prefix) - (prefix.version === 4 ? 1n : 0n)];
  const [first, last] = [part.first, lastOf(part)];
  return {
    prefix,
    first: first < lowest ? lowest : first,
    last: last > highest ? highest : last,
  };
}

/** Takes the lowest free address of a network's. @returns undefined when it has none of this version */
export function leaseAny(
  paths: Paths,
  network: Network,
  version: 4 | 6,
  id: string,
): string | undefined {
  try {
    return leaseLowest(paths, network, version, id);
  } catch (error) {
    if (!(error instanceof MydockerError)) throw error;
    exclusively(paths, () => sweepLeases(paths, network.id));
    return leaseLowest(paths, network, version, id);
  }
}

function leaseLowest(
  paths: Paths,
  network: Network,
  version: 4 | 6,
  id: string,
): string | undefined {
  const subnets = network.subnets.filter(({ subnet }) => readPrefix(subnet).version === version);
  if (subnets.length === 0) return undefined;
  const leased = new Set(leasedAddresses(paths, network.id));
  for (const subnet of subnets) {
    const { prefix, first, last } = bounds(subnet);
    const reserved = new Set([subnet.gateway, ...Object.values(subnet.auxiliary ?? {})]);
    for (let number = first; number <= last; number++) {
      const ip = formatAddress(number, version);
      if (leased.has(ip) || reserved.has(ip)) continue;
      if (takeLease(paths, network.id, ip, id)) return `${ip}/${prefix.length}`;
    }
  }
  const what = `no available IPv${version} addresses on this network's address pools`;
  throw new MydockerError(`${what}: ${network.name} (${network.id.slice(0, 12)})`, {
    exitCode: 125,
    hint: "remove containers that are on it, or make a network with a larger subnet",
  });
}

/** Takes the address that was asked for. @throws {MydockerError} when it is somebody's, or none of the network's */
export function leaseThis(paths: Paths, network: Network, ip: string, id: string): string {
  const bytes = parseIp(ip);
  if (bytes === undefined) throw refused(`invalid IP address: ${ip}`);
  const number = toNumber(bytes);
  const version = bytes.length === 4 ? 4 : 6;
  const text = formatAddress(number, version);
  const subnet = network.subnets.find(({ subnet }) => {
    const prefix = readPrefix(subnet);
    return prefix.version === version && contains(prefix, number);
  });
  if (subnet === undefined) {
    const all = network.subnets.map(({ subnet }) => subnet).join(", ");
    throw refused(`no subnet of network ${network.name} contains the IP address ${text} (${all})`);
  }
  const prefix = readPrefix(subnet.subnet);
  const isSpecial =
    bitsOf(version) - prefix.length > 1 &&
    (number === prefix.first || (version === 4 && number === lastOf(prefix)));
  const isTaken =
    isSpecial ||
    text === subnet.gateway ||
    Object.values(subnet.auxiliary ?? {}).includes(text) ||
    !takeLease(paths, network.id, text, id);
  if (isTaken) throw refused(`Address already in use: ${text} on network ${network.name}`);
  return `${text}/${prefix.length}`;
}

const refused = (message: string) => new MydockerError(message, { exitCode: 125 });
