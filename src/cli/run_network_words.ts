/** The options of `run` that are about networks, as words again: what cli/run_network.ts reads. */
import type { DnsRequest, ExposedPorts } from "../engine/run_options.ts";
import type { EndpointRequest } from "../network/connect.ts";
import type { PortRequest } from "../network/ports.ts";

/** `--network` for each, with what was asked for on it. */
export function networkWords(networks: readonly EndpointRequest[]): string[] {
  return networks.flatMap(({ network, ip, ip6, mac, aliases = [] }) => {
    const more = [
      ...aliases.map((alias) => `alias=${alias}`),
      ...(ip === undefined ? [] : [`ip=${ip}`]),
      ...(ip6 === undefined ? [] : [`ip6=${ip6}`]),
      ...(mac === undefined ? [] : [`mac-address=${mac}`]),
    ];
    return ["--network", more.length === 0 ? network : [`name=${network}`, ...more].join(",")];
  });
}

/** `-p` for each port. */
export function publishWords(ports: readonly PortRequest[]): string[] {
  return ports.flatMap(({ protocol, port, hostIp, hostPorts }) => {
    const ip = hostIp?.includes(":") ? `[${hostIp}]` : hostIp;
    const outside = hostPorts === undefined ? "" : range(hostPorts);
    const host = ip === undefined ? outside && `${outside}:` : `${ip}:${outside}:`;
    return ["-p", `${host}${port}${suffix(protocol)}`];
  });
}

/** `--expose` for each range. */
export const exposeWords = (exposed: readonly ExposedPorts[]): string[] =>
  exposed.flatMap(({ protocol, ports }) => ["--expose", `${range(ports)}${suffix(protocol)}`]);

/** `--dns`, `--dns-search`, `--dns-option`. */
export const dnsWords = ({ servers, search, options }: DnsRequest): string[] => [
  ...servers.flatMap((each) => ["--dns", each]),
  ...search.flatMap((each) => ["--dns-search", each]),
  ...options.flatMap((each) => ["--dns-option", each]),
];

const range = ([first, last]: readonly [number, number]): string =>
  first === last ? String(first) : `${first}-${last}`;

const suffix = (protocol: string): string => (protocol === "tcp" ? "" : `/${protocol}`);
