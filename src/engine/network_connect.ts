/** `network connect` and `disconnect`: of a container that runs at once, of every one from its next start on. */
import { MydockerError } from "../errors.ts";
import { ifExists, readFile } from "../linux/file.ts";
import type { EndpointRequest } from "../network/connect.ts";
import { connectLive, disconnectLive } from "../network/live.ts";
import { DEFAULT_NETWORK, type Network } from "../network/network.ts";
import type { ContainerNetworks } from "../network/state.ts";
import type { Paths } from "../paths.ts";
import { frame, TAG } from "./attach_protocol.ts";
import type { ContainerRecord } from "./container_record.ts";
import { etcFile, rewriteEtcFile } from "./etc_files.ts";
import { recordEvent } from "./events.ts";
import {
  type FoundContainer,
  findContainer,
  RunningProcess,
  recordOf,
} from "./lifecycle_process.ts";
import { askMonitor } from "./monitor_socket.ts";
import { inspectNetwork } from "./network_commands.ts";
import { etcFiles } from "./network_join.ts";
import { isOnNetworks } from "./network_mode.ts";
import { awaitRemoval } from "./ownership.ts";

/** What of `network connect` is about the container. */
export type ConnectRequest = Omit<EndpointRequest, "network">;

function checkMode({ options }: ContainerRecord): void {
  const { network } = options;
  if (network === "none")
    throw new MydockerError(
      "container cannot be connected to multiple networks with one of the networks in private (none) mode",
    );
  if (!isOnNetworks(options))
    throw new MydockerError(
      "container sharing network namespace with another container or host cannot be connected to any other network",
    );
}

/** By name or id. @throws {MydockerError} when there is none, or when it is none of ours */
function ownNetwork(paths: Paths, reference: string): Network {
  const network = inspectNetwork(paths, reference);
  const { driver } = network;
  if (driver !== "host" && driver !== "null") return { ...network, driver };
  throw new MydockerError(
    driver === "host"
      ? "container cannot be connected to host network"
      : "container cannot be connected to none network",
  );
}

/** Connects a container. @throws {MydockerError} when it is connected already, or cannot be */
export function connectNetwork(
  paths: Paths,
  reference: string,
  name: string,
  request: ConnectRequest,
): void {
  const network = ownNetwork(paths, name);
  if (network.name === DEFAULT_NETWORK) {
    if (request.ip !== undefined || request.ip6 !== undefined)
      throw new MydockerError(
        "user specified IP address is supported on user defined networks only",
      );
    if (request.aliases !== undefined)
      throw new MydockerError(
        "network-scoped alias is supported only for containers in user defined networks",
      );
  }
  const found = findContainer(paths, reference);
  using _change = awaitRemoval(paths, found.id);
  const record = recordOf(found);
  checkMode(record);
  const asked: EndpointRequest = { ...request, network: network.name };
  const networks = requested(record);
  if (networks.some((each) => isThat(each, network)))
    throw new MydockerError(
      `endpoint with name ${record.name} already exists in network ${network.name}`,
    );
  using process = RunningProcess.of(found);
  if (process !== undefined) {
    const live = { ...identity(record), pid: process.pid };
    const state = connectLive(paths, live, asked);
    followConnections(found, record, state);
  }
  keep(found, record, [...networks, asked]);
  say(paths, "connect", network, record.id);
}

/** Disconnects a container. @throws {MydockerError} when it is not connected */
export function disconnectNetwork(
  paths: Paths,
  reference: string,
  name: string,
  force: boolean,
): void {
  const network = ownNetwork(paths, name);
  const found = findContainer(paths, reference);
  using _change = awaitRemoval(paths, found.id);
  const record = recordOf(found);
  const networks = requested(record);
  const rest = networks.filter((each) => !isThat(each, network));
  using process = RunningProcess.of(found);
  const live = process && { ...identity(record), pid: process.pid };
  const state = live && disconnectLive(paths, live, network.id);
  if (rest.length === networks.length && state === undefined && !force)
    throw new MydockerError(`container ${record.id} is not connected to network ${network.name}`);
  if (state !== undefined) followConnections(found, record, state);
  keep(found, record, rest);
  say(paths, "disconnect", network, record.id);
}

const isThat = (each: EndpointRequest, { name, id }: Network): boolean =>
  each.network === name || (each.network.length >= 3 && id.startsWith(each.network));

/** The networks that it is to be on. */
const requested = ({ options }: ContainerRecord): readonly EndpointRequest[] =>
  isOnNetworks(options) ? (options.networks ?? [{ network: options.network }]) : [];

const identity = ({ id, name, options }: ContainerRecord) => ({
  id,
  name,
  hostname: options.hostname ?? id.slice(0, 12),
});

function keep(
  { store, id }: FoundContainer,
  record: ContainerRecord,
  networks: readonly EndpointRequest[],
): void {
  const network = networks[0]?.network ?? "bridge";
  store.writeRecord({ ...record, options: { ...record.options, network, networks } });
  store.syncRecord(id);
}

function say(paths: Paths, action: string, { id, name, driver }: Network, container: string): void {
  recordEvent(paths, "network", action, id, { container, name, type: driver });
}

/**
 * /etc/hosts has a line for each address; lines that somebody else wrote stay. On the first network
 * with names its monitor begins to answer, and resolv.conf says so.
 */
function followConnections(
  { paths, id }: FoundContainer,
  record: ContainerRecord,
  state: ContainerNetworks,
): void {
  const path = etcFile(paths, id, "hosts");
  const old = ifExists(() => readFile(path));
  if (old === undefined) return;
  const { options } = record;
  const wanted = etcFiles(state, options).hosts.split("\n");
  const isOwnLine = (line: string): boolean => {
    const [ip = "", ...names] = line.split("\t");
    return ip !== "" && names.length === 1 && names[0]?.split(" ").at(-1) === state.hostname;
  };
  const kept = old.split("\n").filter((line) => line !== "" && !isOwnLine(line));
  const own = wanted.filter(isOwnLine);
  rewriteEtcFile(path, [...kept, ...own, ""].join("\n"));
  const hasNames = state.endpoints.some(({ network }) => network !== DEFAULT_NETWORK);
  const resolv = etcFile(paths, id, "resolv.conf");
  const says = ifExists(() => readFile(resolv)) ?? "";
  if (!hasNames || says.includes("127.0.0.11")) return;
  if (askMonitor(paths, id, frame(TAG.names))?.[0] === TAG.names)
    rewriteEtcFile(resolv, etcFiles(state, options).resolvConf);
}
