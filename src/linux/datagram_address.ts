/** Datagrams with the address of ours that they were sent to, so that the answer comes from there: ip(7), ipv6(7). */
import { check } from "../ffi/call.ts";
import { addressOf, libc } from "../ffi/libc.ts";
import { defineStruct } from "../ffi/struct.ts";
import { iovec, msghdr } from "./socket.ts";

const IPPROTO_IP = 0;
const IPPROTO_IPV6 = 41;
const IP_PKTINFO = 8;
const IPV6_RECVPKTINFO = 49;
const IPV6_PKTINFO = 50;
const MSG_DONTWAIT = 0x40;
const MSG_NOSIGNAL = 0x4000;
/** struct sockaddr_in6 is the longest of ours. */
const LONGEST_ADDRESS = 28;
const CMSG_HEADER = 16;
/** struct in_pktinfo: ipi_ifindex, ipi_spec_dst, ipi_addr; struct in6_pktinfo: ipi6_addr, ipi6_ifindex. */
const INFO = { 4: 12, 6: 20 } as const;
/** Of both, padded. */
const CONTROL = 40;

const cmsghdr = defineStruct({ len: "u64", level: "i32", type: "i32" });

/** Who sent a datagram, as the kernel has it, and to which of our addresses. */
export interface DatagramPath {
  readonly from: Uint8Array;
  /** the control message that sends from there; empty when the kernel did not say */
  readonly via: Uint8Array;
}

/** Makes the kernel say it. */
export function askForPath(fd: number, version: 4 | 6): void {
  const [level, option] =
    version === 4 ? [IPPROTO_IP, IP_PKTINFO] : [IPPROTO_IPV6, IPV6_RECVPKTINFO];
  const on = Uint8Array.of(1, 0, 0, 0);
  check("setsockopt", { name: "PKTINFO" }, libc.setsockopt(fd, level, option, on, 4));
}

const [header, vector] = [msghdr.alloc(), iovec.alloc()];
const [name, control] = [new Uint8Array(LONGEST_ADDRESS), new Uint8Array(CONTROL)];

function prepare(bytes: Uint8Array): void {
  iovec.set(vector, "base", addressOf(bytes));
  iovec.set(vector, "len", bytes.length);
  msghdr.set(header, "name", addressOf(name));
  msghdr.set(header, "iov", addressOf(vector));
  msghdr.set(header, "iovlen", 1);
  msghdr.set(header, "control", addressOf(control));
}

/** recvmsg(2), never waits. @returns undefined when there is none, or when one that was sent did not arrive */
export function receiveVia(
  fd: number,
  buffer: Uint8Array,
  version: 4 | 6,
): { readonly length: number; readonly path: DatagramPath } | undefined {
  prepare(buffer);
  msghdr.set(header, "namelen", LONGEST_ADDRESS);
  msghdr.set(header, "controllen", CONTROL);
  const length = Number(libc.recvmsg(fd, header, MSG_DONTWAIT));
  if (length < 0) return undefined;
  const from = name.slice(0, msghdr.get(header, "namelen"));
  const size = CMSG_HEADER + INFO[version];
  const isThere = msghdr.get(header, "controllen") >= size;
  const via = isThere ? control.slice(0, size) : new Uint8Array(0);
  // The answer goes out by whichever device leads there, but for addresses of one device (fe80::).
  if (isThere && version === 4) via.fill(0, CMSG_HEADER, CMSG_HEADER + 4);
  const isLinkLocal = via[CMSG_HEADER] === 0xfe && ((via[CMSG_HEADER + 1] ?? 0) & 0xc0) === 0x80;
  if (isThere && version === 6 && !isLinkLocal) via.fill(0, CMSG_HEADER + 16, CMSG_HEADER + 20);
  if (isThere) cmsghdr.set(via, "type", version === 4 ? IP_PKTINFO : IPV6_PKTINFO);
  return { length, path: { from, via } };
}

/** sendmsg(2) back along a path, never waits. */
export function sendVia(fd: number, bytes: Uint8Array, { from, via }: DatagramPath): void {
  prepare(bytes);
  name.set(from);
  control.fill(0);
  control.set(via);
  msghdr.set(header, "namelen", from.length);
  msghdr.set(header, "controllen", Math.ceil(via.length / 8) * 8);
  if (via.length === 0) msghdr.set(header, "control", 0);
  const flags = MSG_DONTWAIT | MSG_NOSIGNAL;
  check("sendmsg", () => ({ fd }), libc.sendmsg(fd, header, flags));
}
