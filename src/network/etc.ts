/** What /etc/hosts and /etc/resolv.conf of a container on a network say, as Docker's (libnetwork: etchosts, resolvconf). */
import type { ContainerNetworks } from "./state.ts";

/** The lines that every container has. */
export const LOCAL_HOSTS = `127.0.0.1\tlocalhost
::1\tlocalhost ip6-localhost ip6-loopback
fe00::0\tip6-localnet
ff00::0\tip6-mcastprefix
ff02::1\tip6-allnodes
ff02::2\tip6-allrouters
`;

/** Lines of a container's own addresses. @param domain `--domainname` */
function ownHosts({ endpoints, hostname }: ContainerNetworks, domain: string | undefined): string {
  const name = domain === undefined ? hostname : `${hostname}.${domain} ${hostname}`;
  return endpoints
    .flatMap(({ ip, ip6 }) => [ip, ip6])
    .flatMap((ip) => (ip === undefined ? [] : `${ip.replace(/\/.*/, "")}\t${name}\n`))
    .join("");
}

/**
 * /etc/hosts.
 * @param extra `name:address`; the address may be `host-gateway`: the first network's gateway
 */
export function hostsText(
  state: ContainerNetworks | undefined,
  extra: readonly string[],
  domain: string | undefined,
): string {
  const gateways = (state?.endpoints ?? []).flatMap(
    ({ gateway, gateway6 }) => gateway ?? gateway6 ?? [],
  );
  const lines = extra.flatMap((entry) => {
    const colon = entry.indexOf(":");
    const [name, ip] = [entry.slice(0, colon), entry.slice(colon + 1)];
    const address = ip === "host-gateway" ? gateways[0] : ip;
    return address === undefined ? [] : [`${address}\t${name}\n`];
  });
  return LOCAL_HOSTS + lines.join("") + (state === undefined ? "" : ownHosts(state, domain));
}

/** What was asked for with `--dns` and its relatives. */
export interface Resolving {
  readonly servers: readonly string[];
  readonly search: readonly string[];
  readonly options: readonly string[];
}

/** What a resolv.conf says (resolv.conf(5)); the last `search` counts, all `options` do. */
export function parseResolvConf(text: string): Resolving {
  const servers: string[] = [];
  let search: string[] = [];
  const options: string[] = [];
  for (const line of text.split("\n")) {
    const [keyword, ...words] = line
      .replace(/[#;].*/, "")
      .trim()
      .split(/\s+/);
    if (keyword === "nameserver" && words[0] !== undefined) servers.push(words[0]);
    else if (keyword === "search" || keyword === "domain") search = words;
    else if (keyword === "options") options.push(...words);
  }
  return { servers, search, options };
}

/** Name servers on the host's own loopback are not there for a container. */
const isLoopback = (server: string): boolean =>
  server.startsWith("127.") || server === "::1" || /^fe80:/i.test(server);

/** Docker's way out when the host has none that can be used. */
const PUBLIC_SERVERS = ["8.8.8.8", "8.8.4.4"];

/** Who really answers behind systemd-resolved's stub on the loopback (systemd-resolved.service(8)). */
export const RESOLVED_CONF = "/run/systemd/resolve/resolv.conf";

/** The host's resolv.conf, or that of systemd-resolved when it only points to that. */
export function hostResolving(read: (path: string) => string | undefined): Resolving {
  const own = parseResolvConf(read("/etc/resolv.conf") ?? "");
  const onlyStub = own.servers.length > 0 && own.servers.every((server) => server === "127.0.0.53");
  const behind = onlyStub ? read(RESOLVED_CONF) : undefined;
  return behind === undefined ? own : parseResolvConf(behind);
}

/**
 * What a container on the default network resolves with: the host's servers that it can reach, unless
 * others were asked for.
 */
export function plainResolving(
  host: Resolving,
  asked: Resolving | undefined,
  ipv6: boolean,
): Resolving {
  const reachable = host.servers.filter(
    (server) => !isLoopback(server) && (ipv6 || !server.includes(":")),
  );
  const servers = reachable.length > 0 ? reachable : PUBLIC_SERVERS;
  const pick = (given: readonly string[] | undefined, usual: readonly string[]) =>
    given !== undefined && given.length > 0 ? given : usual;
  return {
    servers: pick(asked?.servers, servers),
    search: pick(asked?.search, host.search).filter((domain) => domain !== "."),
    options: pick(asked?.options, host.options),
  };
}

/** Where our resolver listens in a container's network namespace, as Docker's. */
export const RESOLVER = "127.0.0.11";

/** What a container on a network with names resolves with: our resolver, which asks the others. */
export const namedResolving = (plain: Resolving): Resolving => ({
  servers: [RESOLVER],
  search: plain.search,
  options: plain.options.some((option) => option.startsWith("ndots:"))
    ? plain.options
    : [...plain.options, "ndots:0"],
});

/** /etc/resolv.conf. */
export const resolvText = ({ servers, search, options }: Resolving): string =>
  [
    ...servers.map((server) => `nameserver ${server}\n`),
    ...(search.length === 0 ? [] : [`search ${search.join(" ")}\n`]),
    ...(options.length === 0 ? [] : [`options ${options.join(" ")}\n`]),
  ].join("");
