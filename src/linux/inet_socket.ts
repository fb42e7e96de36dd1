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
  /** index of the device that a link-local address is of */
  readonly scope?: number;
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

/** What {@link encodeSocketAddress} makes. */
export function decodeSocketAddress(encoded: Uint8Array): SocketAddress {
  const isIpv4 = sockaddrIn.get(encoded, "family") === AF_INET;
  const { address: start, port: at } = (isIpv4 ? sockaddrIn : sockaddrIn6).offsets;
  const port = ((encoded[at] as number) << 8) | (encoded[at + 1] as number);
  const address = encoded.slice(start, start + (isIpv4 ? 4 : 16));
  return isIpv4 ? { address, port } : { address, port, scope: sockaddrIn6.get(encoded, "scope") };
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

const SOL_SOCKET = 1;
const SO_REUSEADDR = 2;
const SO_ERROR = 4;
const SO_KEEPALIVE = 9;
const SO_LINGER = 13;
const IPPROTO_TCP = 6;
const TCP_NODELAY = 1;
const TCP_KEEPIDLE = 4;
const TCP_KEEPINTVL = 5;

function setOption(fd: number, level: number, option: number, ...values: number[]): void {
  const bytes = new Uint8Array(new Int32Array(values).buffer);
  const result = libc.setsockopt(fd, level, option, bytes, bytes.length);
  check("setsockopt", () => ({ fd, level, option }), result);
}

/**
 * A socket of TCP that listens, though connections to the port may have ended a moment ago: others that
 * listen there are in its way.
 * @returns its descriptor
 */
export function listenTcp(at: SocketAddress, backlog: number): number {
  const fd = inetSocket("tcp", at.address.length);
  const encoded = encodeSocketAddress(at);
  try {
    setOption(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    check("bind", () => ({ port: at.port }), libc.bind(fd, encoded, encoded.length));
    listenInet(fd, backlog);
    return fd;
  } catch (error) {
    close(fd);
    throw error;
  }
}

/** accept4(2), close-on-exec, for a connection that never waits; undefined when there is none (any more). */
export function acceptInet(fd: number): { fd: number; client: SocketAddress } | undefined {
  const address = new Uint8Array(LONGEST_ADDRESS);
  const length = Uint8Array.of(LONGEST_ADDRESS, 0, 0, 0);
  const result = libc.accept4(fd, address, length, SOCK_CLOEXEC | O.O_NONBLOCK);
  return result < 0 ? undefined : { fd: result, client: decodeSocketAddress(address) };
}

/** What is sent is not held back, and a peer that has vanished is found out (tcp(7)). */
export function promptly(fd: number): void {
  setOption(fd, IPPROTO_TCP, TCP_NODELAY, 1);
  setOption(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
  setOption(fd, IPPROTO_TCP, TCP_KEEPIDLE, 15);
  setOption(fd, IPPROTO_TCP, TCP_KEEPINTVL, 15);
}

/** Closes a connection so that the other end sees that it was broken off. */
export function reset(fd: number): void {
  setOption(fd, SOL_SOCKET, SO_LINGER, 1, 0);
  close(fd);
}

/** Whether a connection that was to be made is there (connect(2), EINPROGRESS). */
export function isConnected(fd: number): boolean {
  const value = new Uint8Array(4);
  const length = Uint8Array.of(4, 0, 0, 0);
  check("getsockopt", { fd }, libc.getsockopt(fd, SOL_SOCKET, SO_ERROR, value, length));
  return value.every((byte) => byte === 0);
}

const SHUT_WR = 1;

/** shutdown(2): nothing more is sent. */
export function endSending(fd: number): void {
  check("shutdown", { fd }, libc.shutdown(fd, SHUT_WR));
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

/** The address of one who sent a datagram, as the kernel has it. */
export interface Sender {
  readonly address: Uint8Array;
  readonly size: Uint8Array;
}

/** Room for one. */
export const newSender = (): Sender => ({
  address: new Uint8Array(LONGEST_ADDRESS),
  size: new Uint8Array(4),
});

/**
 * A datagram, and who sent it; never waits.
 * @returns its length; -1 when there is none, or when one that was sent did not arrive
 */
export function receiveFrom(fd: number, buffer: Uint8Array, { address, size }: Sender): number {
  size[0] = LONGEST_ADDRESS;
  // Not by check(): at the end of each turn there is none, and an error takes as long as an answer.
  return Number(libc.recvfrom(fd, buffer, buffer.length, MSG_DONTWAIT, address, size));
}

/** Sends a datagram to such an address; never waits. @returns whether it was taken */
export function sendTo(fd: number, bytes: Uint8Array, { address, size }: Sender): boolean {
  const flags = MSG_DONTWAIT | MSG_NOSIGNAL;
  return libc.sendto(fd, bytes, bytes.length, flags, address, size[0] as number) >= 0;
}
