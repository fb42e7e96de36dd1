/** Connecting a container that is about to start, as its options say. */
import { MydockerError } from "../errors.ts";
import { ifExists, readFile } from "../linux/file.ts";
import { log } from "../log.ts";
import { Connection, type ConnectionRequest } from "../network/connect.ts";
import {
  hostResolving,
  hostsText,
  LOCAL_HOSTS,
  namedResolving,
  parseResolvConf,
  plainResolving,
  resolvText,
} from "../network/etc.ts";
import { DEFAULT_NETWORK } from "../network/network.ts";
import type { PortRequest } from "../network/ports.ts";
import type { ContainerNetworks } from "../network/state.ts";
import { ContainerStore } from "./container_store.ts";
import type { CreatedContainer } from "./create.ts";
import { isOnNetworks, type NetworkPlan } from "./network_mode.ts";
import { readOwner } from "./ownership.ts";
import type { RunOptions } from "./run_options.ts";
import type { ImageConfig } from "./spec_builder.ts";

/** See planNetwork, which calls it for what is more than nothing. */
export function joinNetwork(
  container: CreatedContainer,
  hostname: string,
  undo: DisposableStack,
): NetworkPlan {
  const { paths, record, root } = container;
  const { options, id, name } = record;
  if (options.network.startsWith("container:")) return shareNetwork(container);
  if (!isOnNetworks(options)) {
    if (options.network === "host" && options.ports !== undefined)
      log.warn("Published ports are discarded when using host network mode");
    return { etc: etcFiles(undefined, options) };
  }
  const request: ConnectionRequest = {
    id,
    name,
    hostname,
    networks: options.networks ?? [{ network: options.network }],
    ports: portsOf(options, root.config),
    servers: serversFor(options),
  };
  const connection = undo.use(Connection.prepare(paths, request));
  return { connection, etc: etcFiles(connection.state, options) };
}

/** What is published: as asked for, and with `-P` whatever the image or the caller exposes. */
function portsOf(options: RunOptions, image: ImageConfig): PortRequest[] {
  const asked = options.ports ?? [];
  if (options.publishAll !== true) return [...asked];
  const isAsked = (protocol: string, port: number): boolean =>
    asked.some((each) => each.protocol === protocol && each.port === port);
  const all = exposedPorts(options, image).filter(({ protocol, port }) => !isAsked(protocol, port));
  return [...asked, ...all];
}

/** Ports that the image or the caller exposes, each once. */
export function exposedPorts(options: RunOptions, image: ImageConfig): PortRequest[] {
  const found = new Map<string, PortRequest>();
  const add = (port: number, protocol: PortRequest["protocol"]) =>
    found.set(`${port}/${protocol}`, { port, protocol });
  for (const text of Object.keys(image.ExposedPorts ?? {})) {
    const match = /^(\d{1,5})(?:-(\d{1,5}))?(?:\/(tcp|udp|sctp))?$/i.exec(text);
    if (match === null) continue;
    const protocol = (match[3]?.toLowerCase() ?? "tcp") as PortRequest["protocol"];
    const [first, last] = [Number(match[1]), Math.min(65535, Number(match[2] ?? match[1]))];
    for (let port = first; port <= last; port++) add(port, protocol);
  }
  for (const { protocol, ports } of options.exposed ?? []) {
    for (let port = ports[0]; port <= ports[1]; port++) add(port, protocol);
  }
  return [...found.values()];
}

const readIfThere = (path: string): string | undefined => ifExists(() => readFile(path));

/** The servers that a container's resolver asks: what the host's own configuration says at that moment. */
export const serversFor =
  ({ dns }: Pick<RunOptions, "dns">): (() => readonly string[]) =>
  () =>
    dns !== undefined && dns.servers.length > 0
      ? dns.servers
      : parseResolvConf(readIfThere("/etc/resolv.conf") ?? "").servers;

/** @param state absent: it is on no network */
export function etcFiles(
  state: ContainerNetworks | undefined,
  options: RunOptions,
): { hosts: string; resolvConf: string } {
  const { extraHosts = [], dns, network, domainname } = options;
  if (network === "host") {
    const text = readIfThere("/etc/resolv.conf") ?? "";
    const own = readIfThere("/etc/hosts") ?? LOCAL_HOSTS;
    const extra = hostsText(undefined, extraHosts, undefined).slice(LOCAL_HOSTS.length);
    const resolvConf =
      dns === undefined ? text : resolvText(plainResolving(hostResolving(readIfThere), dns, true));
    return { hosts: own + extra, resolvConf };
  }
  const hasIpv6 = state?.endpoints.some(({ ip6 }) => ip6 !== undefined) === true;
  const plain = plainResolving(hostResolving(readIfThere), dns, hasIpv6);
  const isNamed =
    state?.endpoints.some((endpoint) => endpoint.network !== DEFAULT_NETWORK) === true;
  return {
    hosts: hostsText(state, extraHosts, domainname),
    resolvConf: resolvText(isNamed ? namedResolving(plain) : plain),
  };
}

/** `--network container:NAME`: its namespace, host name and files in /etc. */
function shareNetwork({ paths, record }: CreatedContainer): NetworkPlan {
  const store = new ContainerStore(paths);
  const reference = record.options.network.slice("container:".length);
  const id = store.resolve(reference);
  const fail = (message: string) => new MydockerError(message, { exitCode: 125 });
  if (id === record.id) throw fail("cannot join own network");
  const running = readOwner(paths, id)?.process;
  if (running === undefined) throw fail(`cannot join network of a non running container: ${id}`);
  const options = store.read(id)?.options;
  if (options?.network.startsWith("container:") === true)
    throw fail("cannot join network of a container that has that of another one itself");
  return {
    namespace: `/proc/${running.pid}/ns/net`,
    etcOf: id,
    hostname: options?.hostname ?? id.slice(0, 12),
  };
}
