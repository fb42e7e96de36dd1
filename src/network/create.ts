/** Networks that somebody asks for: what they may be. */
import { MydockerError } from "../errors.ts";
import type { Paths } from "../paths.ts";
import { usualGateway } from "./addresses.ts";
import { makeNetwork, networkPrefixes, takenPrefixes } from "./make.ts";
import { DRIVERS, type Network, type Subnet } from "./network.ts";
import { checkOptions, isDriver } from "./parent.ts";
import { contains, formatPrefix, overlap, type Prefix, parseCidr, readPrefix } from "./prefix.ts";
import { exclusively } from "./state.ts";
import { isNetworkName } from "./store.ts";

/** `network create`. All as it was given. */
export interface CreateRequest {
  readonly name: string;
  readonly driver: string;
  readonly subnets: readonly string[];
  readonly gateways: readonly string[];
  readonly ranges: readonly string[];
  /** `name=address` */
  readonly auxiliary: readonly string[];
  readonly internal: boolean;
  readonly ipv6: boolean;
  readonly options: Readonly<Record<string, string>>;
  readonly labels: Readonly<Record<string, string>>;
}

/** Names that are networks without anybody making them. */
export const PREDEFINED: readonly string[] = ["bridge", "host", "none"];

const BRIDGE_NAME = "com.docker.network.bridge.name";

/** Makes a network. @throws {MydockerError} for what none can be, in Docker's words */
export function createNetwork(paths: Paths, request: CreateRequest): Network {
  const { name, driver, internal, options, labels } = request;
  if ([...PREDEFINED, "default"].includes(name))
    throw new MydockerError(`operation is not permitted on predefined ${name} network`);
  if (!isNetworkName(name) || name.startsWith("container:"))
    throw new MydockerError(
      `invalid network name: ${name}: only letters, digits and _.- are allowed, and the first is one of the former two`,
    );
  if (!isDriver(driver))
    throw new MydockerError(`could not find plugin ${driver} in v1 plugin registry: not found`, {
      hint: `the drivers are ${DRIVERS.join(", ")}`,
    });
  if (driver !== "bridge") checkOptions(driver, options);
  return exclusively(paths, () => {
    const subnets = readSubnets(request);
    const taken = takenPrefixes(paths);
    // A parent's network is often the one that the host itself is on.
    const others = driver === "bridge" ? taken : networkPrefixes(paths);
    for (const { subnet } of subnets) checkFree(readPrefix(subnet), others);
    const wants6 = request.ipv6 && !subnets.some(({ subnet }) => subnet.includes(":"));
    const all = wants6 ? [...subnets, randomSubnet6(taken)] : subnets;
    const has4 = all.some(({ subnet }) => !subnet.includes(":"));
    const link = options[BRIDGE_NAME];
    if (link !== undefined && !/^[^/\s:]{1,15}$/.test(link))
      throw new MydockerError(`invalid name of a bridge: ${link}`);
    return makeNetwork(paths, {
      name,
      driver,
      internal,
      ipv6: all.some(({ subnet }) => subnet.includes(":")),
      options,
      labels,
      ...(link === undefined ? {} : { link }),
      ...(has4 ? { subnets: all } : { moreSubnets: all }),
    });
  });
}

function checkFree(prefix: Prefix, taken: readonly Prefix[]): void {
  const other = taken.find((each) => overlap(prefix, each));
  if (other === undefined) return;
  throw new MydockerError(
    `invalid pool request: Pool overlaps with other one on this address space: ${formatPrefix(prefix)} and ${formatPrefix(other)}`,
    { hint: "another network has it, or this host has a route to it" },
  );
}

function readSubnets({ subnets, gateways, ranges, auxiliary }: CreateRequest): Subnet[] {
  const prefixes = subnets.map((text) => {
    const found = parseCidr(text);
    if (found === undefined)
      throw new MydockerError(
        `invalid subnet ${text}: it is no address and length, as 10.1.0.0/16`,
      );
    return found.prefix;
  });
  prefixes.forEach((prefix, index) => {
    if (prefixes.slice(0, index).some((other) => overlap(other, prefix)))
      throw new MydockerError("multiple overlapping subnet configuration is not supported");
  });
  const addressOf = (text: string): { prefix: Prefix; address: bigint } => {
    const version = text.includes(":") ? 128 : 32;
    const found = parseCidr(`${text}/${version}`);
    if (found === undefined) throw new MydockerError(`invalid address: ${text}`);
    return found;
  };
  const placed = new Set<string>();
  /** What of a list lies in a subnet. */
  const within = (prefix: Prefix, list: readonly string[], what: (text: string) => bigint) =>
    list.filter((text) => {
      const isIn = isVersion(text, prefix) && contains(prefix, what(text));
      if (isIn) placed.add(text);
      return isIn;
    });
  const made = prefixes.map((prefix): Subnet => {
    const [gateway, second] = within(prefix, gateways, (text) => addressOf(text).address);
    if (second !== undefined) throw new MydockerError("only one gateway can be given for a subnet");
    const [range] = within(prefix, ranges, (text) => {
      const found = parseCidr(text);
      if (found === undefined) throw new MydockerError(`invalid range: ${text}`);
      return found.address;
    });
    const own = within(
      prefix,
      auxiliary,
      (text) => addressOf(text.slice(text.indexOf("=") + 1)).address,
    ).map((text) => text.split("=", 2) as [string, string]);
    return {
      subnet: formatPrefix(prefix),
      gateway: gateway ?? usualGateway(prefix),
      ...(range === undefined ? {} : { range }),
      ...(own.length === 0 ? {} : { auxiliary: Object.fromEntries(own) }),
    };
  });
  const lost = [...gateways, ...ranges, ...auxiliary].find((text) => !placed.has(text));
  if (lost !== undefined)
    throw new MydockerError(
      subnets.length === 0
        ? "every ip-range, gateway or aux-address must have a corresponding subnet"
        : `no matching subnet for ${lost}`,
    );
  return made;
}

const isVersion = (text: string, { version }: Prefix): boolean =>
  text.slice(text.indexOf("=") + 1).includes(":") === (version === 6);

/** A network of unique local addresses (RFC 4193). */
function randomSubnet6(taken: readonly Prefix[]): Subnet {
  for (;;) {
    const bytes = crypto.getRandomValues(new Uint8Array(5));
    const number = bytes.reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0xfdn);
    const prefix: Prefix = { version: 6, first: number << 80n, length: 64 };
    if (taken.some((other) => overlap(prefix, other))) continue;
    return { subnet: formatPrefix(prefix), gateway: usualGateway(prefix) };
  }
}
