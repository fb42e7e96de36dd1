/** The options of `run` that are about networks. */
import type { RunOptions } from "../engine/run_options.ts";
import { UsageError } from "../errors.ts";
import type { EndpointRequest } from "../network/connect.ts";
import { defined } from "./defined.ts";
import type { OptionTable, Values } from "./option_table.ts";
import {
  parseAddress,
  parseExtraHost,
  parseMac,
  parseNameserver,
  parseNetwork,
  parseSearchDomain,
} from "./values/network.ts";
import { parseExpose, parsePublish } from "./values/publish.ts";

/** Docker's options. */
export const NETWORK_OPTIONS = {
  "add-host": {
    type: "list",
    value: "name:ip",
    description: "Add a line to /etc/hosts; the address may be host-gateway",
    parse: parseExtraHost,
  },
  dns: {
    type: "list",
    value: "address",
    description: "Name server of the container",
    parse: parseNameserver,
  },
  "dns-option": {
    type: "list",
    alias: "dns-opt",
    value: "option",
    description: "Option of the container's resolver, such as ndots:2",
  },
  "dns-search": {
    type: "list",
    value: "domain",
    description: "Domain that the container looks names up in",
    parse: parseSearchDomain,
  },
  expose: {
    type: "list",
    value: "port",
    description: "Port that --publish-all publishes, or a range of them",
    parse: parseExpose,
  },
  ip: {
    type: "value",
    unsetByEmpty: true,
    value: "address",
    description: "IPv4 address on the network",
    parse: parseAddress(4),
  },
  ip6: {
    type: "value",
    unsetByEmpty: true,
    value: "address",
    description: "IPv6 address on the network",
    parse: parseAddress(6),
  },
  "mac-address": {
    type: "value",
    unsetByEmpty: true,
    value: "address",
    description: "Hardware address on the network",
    parse: parseMac,
  },
  network: {
    type: "list",
    alias: "net",
    seed: "net",
    value: "network",
    description: "Network: bridge (the default), none, host, container:NAME, or one of your own",
    parse: parseNetwork,
    complete: ["bridge", "none", "host"],
  },
  "network-alias": {
    type: "list",
    alias: "net-alias",
    value: "name",
    description: "Name that others on the network find it by",
  },
  publish: {
    type: "list",
    short: "p",
    value: "[[ip:]host:]container",
    description: "Publish a port on the host, or a range of them",
    parse: parsePublish,
  },
  "publish-all": {
    type: "boolean",
    short: "P",
    description: "Publish all exposed ports on free ports of the host",
  },
} as const satisfies OptionTable;

type NetworkOptions = Pick<
  RunOptions,
  "network" | "networks" | "ports" | "exposed" | "publishAll" | "extraHosts" | "dns"
>;

/** @throws {UsageError} for what cannot be had together, in Docker's words */
export function composeNetwork(values: Values<typeof NETWORK_OPTIONS>): NetworkOptions {
  const given: readonly EndpointRequest[] =
    values.network.length > 0
      ? values.network
      : [{ network: process.env["MYDOCKER_NETWORK"] || "bridge" }];
  const [first, ...others] = given as [EndpointRequest, ...EndpointRequest[]];
  const mode = first.network === "default" ? "bridge" : first.network;
  checkSeveral(given);
  const aliases = [...(first.aliases ?? []), ...values["network-alias"]];
  const endpoint: EndpointRequest = {
    ...first,
    network: mode,
    ...(aliases.length === 0 ? {} : { aliases }),
    ...defined({
      ip: values.ip ?? first.ip,
      ip6: values.ip6 ?? first.ip6,
      mac: values["mac-address"] ?? first.mac,
    }),
  };
  checkMode(endpoint, values);
  const hasMore = Object.keys(endpoint).length > 1 || others.length > 0;
  const dns = {
    servers: values.dns,
    search: values["dns-search"],
    options: values["dns-option"],
  };
  const hasDns = Object.values(dns).some((list) => list.length > 0);
  return {
    network: mode,
    ...defined({
      networks: hasMore ? [endpoint, ...others] : undefined,
      ports: ifAny(values.publish.flat()),
      exposed: ifAny(values.expose),
      publishAll: values["publish-all"] || undefined,
      extraHosts: ifAny(values["add-host"]),
      dns: hasDns ? dns : undefined,
    }),
  };
}

const ifAny = <T>(list: readonly T[]): readonly T[] | undefined =>
  list.length === 0 ? undefined : list;

/** Modes that are no networks. */
const isAlone = (network: string): boolean =>
  network === "none" || network === "host" || network.startsWith("container:");

function checkSeveral(given: readonly EndpointRequest[]): void {
  if (given.length === 1) return;
  const alone = given.find(({ network }) => isAlone(network));
  if (alone !== undefined)
    throw new UsageError(
      `conflicting options: cannot attach both user-defined and non-user-defined network-modes (${alone.network})`,
    );
  const names = given.map(({ network }) => network);
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined) throw new UsageError(`network "${twice}" is specified multiple times`);
}

function checkMode(endpoint: EndpointRequest, values: Values<typeof NETWORK_OPTIONS>): void {
  const { network: mode, ip, ip6, mac, aliases } = endpoint;
  const conflict = (what: string) => new UsageError(`conflicting options: ${what}`);
  if (mode.startsWith("container:")) {
    if (mode === "container:") throw new UsageError("invalid container format container:<name|id>");
    const type = "the container type network mode";
    if (values.publish.length > 0 || values["publish-all"])
      throw conflict(`port publishing and ${type}`);
    if (values.expose.length > 0) throw conflict(`port exposing and ${type}`);
    if (values.dns.length > 0) throw conflict("dns and the network mode");
    if (values["add-host"].length > 0)
      throw conflict("custom host-to-IP mapping and the network mode");
    if (mac !== undefined) throw conflict("mac-address and the network mode");
  }
  if (mode === "host" && mac !== undefined) throw conflict("mac-address and the network mode");
  if (!isAlone(mode) && mode !== "bridge") return;
  if (ip !== undefined || ip6 !== undefined)
    throw new UsageError("user specified IP address is supported on user defined networks only");
  if (aliases !== undefined)
    throw new UsageError(
      "network-scoped alias is supported only for containers in user defined networks",
    );
}
