/** What those who copy for published ports have in common. */
import type { Epoll } from "../linux/epoll.ts";
import type { SocketAddress, Transport } from "../linux/inet_socket.ts";

/** A socket that is bound to a port of the host, and listens if it is of TCP. */
export interface Listener {
  readonly fd: number;
  readonly protocol: Transport;
  readonly version: 4 | 6;
  readonly hostPort: number;
  /** absent: every address */
  readonly hostIp?: string;
}

/** What those who copy need of the proxy. */
export interface ProxyContext {
  readonly epoll: Epoll;
  /** Where a client is led; undefined: nowhere. */
  target(listener: Listener, client: SocketAddress): SocketAddress | undefined;
  /** Whether a port is still the container's. */
  isHeld(listener: Listener): boolean;
  /** Whether there may be this many descriptors more. */
  hasRoom(count: number): boolean;
}
