/** Internet sockets: ip(7), ipv6(7), tcp(7), udp(7). */
import { check, isErrno } from "../ffi/call.ts";
import { libc } from "../ffi/libc.ts";
import { defineStruct } from "../ffi/struct.ts";
import { close, F_SETFL, fcntl, O } from "./fd.ts";

const AF_INET = 2;
const AF_INET6 = 10;
const SOCK_CLOEXEC = 0o2000000;
const IPPROTO_IPV6 = 41;
const IPV6_V6ONLY = 26;

const KINDS = {
  tcp: { type: 1, protocol: 6 },
  udp: { type: 2, protocol: 17 },
  sctp: { type: 1, protocol: 132 },
} as const;
/** A protocol with ports. */
export type Transport = keyof typeof KINDS;

/** An address and a port. */
export interface SocketAddress {
  /** 4 or 16 bytes */
  readonly address: Uint8Array;
  readonly port: number;
}

const sockaddrIn = defineStruct({
  family: "u16",
  port: { bytes: 2 },
  address: { bytes: 4 },
  zero: { bytes: 8 },
});
const sockaddrIn6 = defineStruct({
  family: "u16",
  port: { bytes: 2 },
  flowinfo: "u32",
  address: { bytes: 16 },
  scope: "u32",
});

/** struct sockaddr_in or sockaddr_in6. */
export function encodeSocketAddress({ address, port }: SocketAddress): Uint8Array {
  const struct = address.length === 4 ? sockaddrIn : sockaddrIn6;
  const encoded = struct.alloc();
  struct.set(encoded, "family", address.length === 4 ? AF_INET : AF_INET6);
  encoded.set([port >> 8, port & 0xff], struct.offsets.port);
  encoded.set(address, struct.offsets.address);
  return encoded;
}

/** A socket for addresses of 4 or 16 bytes, close-on-exec; of IPv6 it takes no IPv4. */
export function inetSocket(transport: Transport, length: number): number {
  const { type, protocol } = KINDS[transport];
  const domain = length === 4 ? AF_INET : AF_INET6;
  const fd = check(
    "socket",
    () => ({ name: transport }),
    libc.socket(domain, type | SOCK_CLOEXEC, protocol),
  );
  if (domain === AF_INET6) {
    const on = Uint8Array.of(1, 0, 0, 0);
    try {
      check(
        "setsockopt",
        { name: "IPV6_V6ONLY" },
        libc.setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, on, 4),
      );
    } catch (error) {
      close(fd);
      throw error;
    }
  }
  return fd;
}

/** bind(2) of a new socket, which does not listen. Port 0 is a free one. @returns its descriptor */
export function bindInet(transport: Transport, at: SocketAddress): number {
  const fd = inetSocket(transport, at.address.length);
  const encoded = encodeSocketAddress(at);
  try {
    check("bind", () => ({ port: at.port }), libc.bind(fd, encoded, encoded.length));
    return fd;
  } catch (error) {
    close(fd);
    throw error;
  }
}

/** getsockname(2): the port that a socket is bound to. */
export function boundPort(fd: number): number {
  const address = new Uint8Array(28);
  const length = Uint8Array.of(address.length, 0, 0, 0);
  check("getsockname", { fd }, libc.getsockname(fd, address, length));
  return ((address[2] as number) << 8) | (address[3] as number);
}

const MSG_DONTWAIT = 0x40;
const MSG_NOSIGNAL = 0x4000;
/** struct sockaddr_in6 is the longest of ours. */
const LONGEST_ADDRESS = 28;

/** listen(2). Nothing that is done with the socket waits from then on. */
export function listenInet(fd: number, backlog = 64): void {
  check("listen", { fd }, libc.listen(fd, backlog));
  fcntl(fd, F_SETFL, O.O_NONBLOCK);
}

/** A socket that is connected, or will be: nothing that is done with it waits. @returns its descriptor */
export function connectInet(transport: Transport, to: SocketAddress): number {
  const fd = inetSocket(transport, to.address.length);
  const encoded = encodeSocketAddress(to);
  try {
    fcntl(fd, F_SETFL, O.O_NONBLOCK);
    check("connect", () => ({ port: to.port }), libc.connect(fd, encoded, encoded.length));
  } catch (error) {
    if (isErrno(error, "EINPROGRESS")) return fd;
    close(fd);
    throw error;
  }
  return fd;
}

const sender = new Uint8Array(LONGEST_ADDRESS);
const senderSize = new Uint8Array(4);

/**
 * A datagram with the address, as the kernel has it, of who sent it; never waits.
 * @returns undefined when there is none, or when one that was sent did not arrive
 */
export function receiveFrom(
  fd: number,
  buffer: Uint8Array,
): { length: number; from: Uint8Array } | undefined {
  senderSize[0] = LONGEST_ADDRESS;
  const result = libc.recvfrom(fd, buffer, buffer.length, MSG_DONTWAIT, sender, senderSize);
  // Not by check(): at the end of each turn there is none, and an error takes as long as an answer.
  return result < 0 ? undefined : { length: Number(result), from: sender.slice(0, senderSize[0]) };
}

/** Sends a datagram to such an address; never waits. */
export function sendTo(fd: number, bytes: Uint8Array, to: Uint8Array): void {
  const flags = MSG_DONTWAIT | MSG_NOSIGNAL;
  check("sendto", { fd }, libc.sendto(fd, bytes, bytes.length, flags, to, to.length));
}
