/**
 * Published ports: which of the host they are. A port is ours as long as a socket of the process that
 * attends to the container is bound to it, so that the kernel keeps it from everybody else, tells us
 * that it is in use, and frees it whatever ends us.
 */
import { MydockerError } from "../errors.ts";
import { isErrno, SysError } from "../ffi/call.ts";
import { errnoText } from "../ffi/errno.ts";
import { close } from "../linux/fd.ts";
import { bindInet, boundPort, type Transport } from "../linux/inet_socket.ts";
import { parseIp } from "../netlink/ip_address.ts";
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
  /** sockets that are bound to it, one for each version; none where the kernel lacks the protocol */
  readonly sockets: readonly number[];
}

const ANY = { 4: new Uint8Array(4), 6: new Uint8Array(16) } as const;
/** How often a port is looked for that is free in both versions of IP. */
const ATTEMPTS = 100;

/** Takes the ports. @param undo closes the sockets. @throws {MydockerError} for one that is in use */
export function reservePorts(
  requests: readonly PortRequest[],
  undo: DisposableStack,
): ReservedPort[] {
  return requests.map((request) => {
    const reserved = reservePort(request);
    const name = nameOf({ ...request, hostPort: reserved.hostPort });
    held.set(name, reserved.sockets);
    undo.defer(() => letGo(name));
    return reserved;
  });
}

/** Sockets of this process, by what they hold. */
const held = new Map<string, readonly number[]>();

const nameOf = (port: Pick<PortRequest, "protocol" | "hostIp"> & { readonly hostPort: number }) =>
  `${port.protocol} ${isAny(port.hostIp) ? "" : port.hostIp} ${port.hostPort}`;

/** Whether an address of the host means all of them. */
export const isAny = (hostIp: string | undefined): boolean =>
  hostIp === undefined || hostIp === "0.0.0.0" || hostIp === "::";

function letGo(name: string): void {
  for (const socket of held.get(name) ?? []) close(socket);
  held.delete(name);
}

/** The same for all that this process holds. */
export function letGoOfAll(): void {
  for (const name of [...held.keys()]) letGo(name);
}

/** Lets others have ports that this process holds. */
export function letGoOf(ports: readonly PublishedPort[]): void {
  for (const port of ports) letGo(nameOf(port));
}

function reservePort(request: PortRequest): ReservedPort {
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
): ReservedPort {
  const { protocol } = request;
  const sockets: number[] = [];
  const versions: (4 | 6)[] = [];
  let hostPort = wanted;
  try {
    for (const address of addresses) {
      const version = address.length === 4 ? 4 : 6;
      const isExtra = addresses.length > 1 && version === 6;
      try {
        const socket = bindInet(protocol, { address, port: hostPort });
        sockets.push(socket);
        if (hostPort === 0) hostPort = boundPort(socket);
      } catch (error) {
        // A kernel without IPv6, or one where it is switched off.
        if (isExtra && isErrno(error, "EAFNOSUPPORT", "EADDRNOTAVAIL")) continue;
        // One without SCTP, whose packets it can redirect all the same.
        if (!isErrno(error, "EPROTONOSUPPORT", "ESOCKTNOSUPPORT") || hostPort === 0) throw error;
      }
      versions.push(version);
    }
    return { request, hostPort, versions, sockets };
  } catch (error) {
    for (const socket of sockets) close(socket);
    throw error;
  }
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
