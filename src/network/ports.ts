/**
 * Published ports: which of the host they are. A port is ours as long as a socket of the process that
 * attends to the container is bound to it, so that the kernel keeps it from everybody else, tells us
 * that it is in use, and frees it whatever ends us.
 */
import { MydockerError } from "../errors.ts";
import { isErrno, SysError } from "../ffi/call.ts";
import { errnoText } from "../ffi/errno.ts";
import { close } from "../linux/fd.ts";
import { bindInet, boundPort, listenTcp, type Transport } from "../linux/inet_socket.ts";
import { parseIp } from "../netlink/ip_address.ts";
import type { PortDoor } from "./door.ts";
import type { Listener } from "./proxy_context.ts";
import type { PublishedPort } from "./state.ts";

/** `-p`: one port of the container. */
export interface PortRequest {
  readonly protocol: Transport;
  readonly port: number;
  /** as given; absent: every address */
  readonly hostIp?: string;
  /** one of these; absent: any that is free */
  readonly hostPorts?: readonly [first: number, last: number];
}

/** A port of the host that is ours. */
export interface ReservedPort {
  readonly request: PortRequest;
  readonly hostPort: number;
  /** the versions of IP that it is ours in */
  readonly versions: readonly (4 | 6)[];
}

const ANY = { 4: new Uint8Array(4), 6: new Uint8Array(16) } as const;
/** How many clients may wait for the proxy; the kernel's own limit is lower (net.core.somaxconn). */
const BACKLOG = 4096;
/** How often a port is looked for that is free in both versions of IP. */
const ATTEMPTS = 100;

/** Takes the ports. @param undo gives them back. @throws {MydockerError} for one that is in use */
export function reservePorts(
  requests: readonly PortRequest[],
  door: PortDoor,
  undo: DisposableStack,
): ReservedPort[] {
  return requests.map((request) => {
    const { listeners, ...reserved } = reservePort(request);
    const name = nameOf({ ...request, hostPort: reserved.hostPort });
    door.hold(name, listeners);
    undo.defer(() => door.letGo(name));
    return reserved;
  });
}

const nameOf = (port: Pick<PortRequest, "protocol" | "hostIp"> & { readonly hostPort: number }) =>
  `${port.protocol} ${isAny(port.hostIp) ? "" : port.hostIp} ${port.hostPort}`;

/** Whether an address of the host means all of them. */
export const isAny = (hostIp: string | undefined): boolean =>
  hostIp === undefined || hostIp === "0.0.0.0" || hostIp === "::";

/** Lets others have ports that this process holds. */
export function letGoOf(ports: readonly PublishedPort[], door: PortDoor): void {
  for (const port of ports) door.letGo(nameOf(port));
}

interface BoundPort extends ReservedPort {
  /** one for each version; none where the kernel lacks the protocol */
  readonly listeners: readonly Listener[];
}

function reservePort(request: PortRequest): BoundPort {
  const { hostIp, hostPorts } = request;
  const ip = hostIp === undefined ? undefined : parseIp(hostIp);
  const addresses = ip === undefined ? [ANY[4], ANY[6]] : [ip];
  let failure: unknown;
  const [first, last] = hostPorts ?? [0, 0];
  const attempts = hostPorts === undefined ? ATTEMPTS : last - first + 1;
  for (let attempt = 0; attempt < attempts; attempt++) {
    const wanted = hostPorts === undefined ? 0 : first + attempt;
    try {
      return bindAll(request, addresses, wanted);
    } catch (error) {
      failure = error;
      if (!isErrno(error, "EADDRINUSE")) break;
    }
  }
  throw explain(failure, request);
}

function bindAll(
  request: PortRequest,
  addresses: readonly Uint8Array[],
  wanted: number,
): BoundPort {
  const { protocol, hostIp } = request;
  const listeners: Listener[] = [];
  const versions: (4 | 6)[] = [];
  let hostPort = wanted;
  try {
    for (const address of addresses) {
      const version = address.length === 4 ? 4 : 6;
      const isExtra = addresses.length > 1 && version === 6;
      try {
        const at = { address, port: hostPort };
        const fd = protocol === "tcp" ? listenTcp(at, BACKLOG) : bindInet(protocol, at);
        if (hostPort === 0) hostPort = boundPort(fd);
        const where = isAny(hostIp) ? {} : { hostIp: hostIp as string };
        listeners.push({ fd, protocol, version, hostPort, ...where });
      } catch (error) {
        // A kernel without IPv6, or one where it is switched off.
        if (isExtra && isErrno(error, "EAFNOSUPPORT", "EADDRNOTAVAIL")) continue;
        // One without SCTP, whose packets it can redirect all the same.
        if (!isErrno(error, "EPROTONOSUPPORT", "ESOCKTNOSUPPORT") || hostPort === 0) throw error;
      }
      versions.push(version);
    }
    return { request, hostPort, versions, listeners };
  } catch (error) {
    for (const { fd } of listeners) close(fd);
    throw error;
  }
}

/** @throws {MydockerError} for what only the firewall leads into a container, where there is none */
export function checkProxied(ports: readonly PublishedPort[]): void {
  const port = ports.find(({ protocol }) => protocol === "sctp");
  if (port === undefined) return;
  throw new MydockerError(
    `cannot publish ${port.hostPort} to port ${port.port}/sctp: that needs nf_tables, which this kernel lacks`,
    { exitCode: 125, hint: "the proxy that takes its place serves tcp and udp" },
  );
}

function explain(error: unknown, { hostIp, hostPorts, port, protocol }: PortRequest): unknown {
  if (!(error instanceof SysError)) return error;
  const range = hostPorts === undefined ? "" : [...new Set(hostPorts)].join("-");
  const ip = hostIp?.includes(":") === true ? `[${hostIp}]` : (hostIp ?? "0.0.0.0");
  const why = error.code === "EADDRINUSE" ? "port is already allocated" : errnoText(error.errno);
  return new MydockerError(`cannot publish ${ip}:${range} to port ${port}/${protocol}: ${why}`, {
    exitCode: 125,
    cause: error,
  });
}
