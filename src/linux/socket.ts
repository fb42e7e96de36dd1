/** Unix socket pairs with descriptor passing (unix(7)), and the one ioctl that brings a loopback up (netdevice(7)). */
import { encodeBytes } from "../ffi/bytes.ts";
import { check, retryInterrupted } from "../ffi/call.ts";
import { addressOf, libc } from "../ffi/libc.ts";
import { defineStruct } from "../ffi/struct.ts";
import { close } from "./fd.ts";

const AF_UNIX = 1;
const AF_INET = 2;
const SOCK_STREAM = 1;
const SOCK_DGRAM = 2;
const SOCK_SEQPACKET = 5;
const SOCK_CLOEXEC = 0o2000000;
const SOL_SOCKET = 1;
const SCM_RIGHTS = 1;
const MSG_DONTWAIT = 0x40;
const MSG_NOSIGNAL = 0x4000;
const MSG_CMSG_CLOEXEC = 0x40000000;

/** A connected pair that keeps message boundaries, close-on-exec. */
export function messagePair(): [number, number] {
  const pair = new Int32Array(2);
  check("socketpair", {}, libc.socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair));
  return [pair[0] as number, pair[1] as number];
}

/** accept4(2), close-on-exec. @returns the connection's descriptor */
export function accept(socket: number): number {
  return retryInterrupted(() =>
    check("accept", () => ({ fd: socket }), libc.accept4(socket, null, null, SOCK_CLOEXEC)),
  );
}

const sockaddrUn = defineStruct({ family: "u16", path: { bytes: 108 } });

/** struct sockaddr_un of a path. @throws {Error} for one that is longer than 107 bytes */
function unixAddress(path: string): Uint8Array {
  const address = sockaddrUn.alloc();
  sockaddrUn.set(address, "family", AF_UNIX);
  const bytes = encodeBytes(path);
  if (bytes.length > 107) throw new Error(`the path of a socket is too long: ${path}`);
  address.set(bytes, 2);
  return address;
}

/** Which kind of UNIX socket: one that keeps message boundaries, or a stream. */
export type SocketKind = "messages" | "stream";

const unixSocket = (kind: SocketKind): number => {
  const type = kind === "stream" ? SOCK_STREAM : SOCK_SEQPACKET;
  return check("socket", {}, libc.socket(AF_UNIX, type | SOCK_CLOEXEC, 0));
};

/** A socket that listens at `path`, close-on-exec. */
export function listenAt(path: string, kind: SocketKind = "messages"): number {
  const fd = unixSocket(kind);
  const address = unixAddress(path);
  check("bind", { path }, libc.bind(fd, address, address.length));
  check("listen", { path }, libc.listen(fd, 16));
  return fd;
}

/** Connects to a UNIX socket, close-on-exec. */
export function connectTo(path: string, kind: SocketKind = "messages"): number {
  const fd = unixSocket(kind);
  const address = unixAddress(path);
  try {
    check("connect", { path }, libc.connect(fd, address, address.length));
  } catch (error) {
    close(fd);
    throw error;
  }
  return fd;
}

/** struct msghdr of sendmsg(2). */
export const msghdr = defineStruct({
  name: "ptr",
  namelen: "u32",
  iov: "ptr",
  iovlen: "u64",
  control: "ptr",
  controllen: "u64",
  flags: "i32",
});
/** struct iovec: what a message consists of. */
export const iovec = defineStruct({ base: "ptr", len: "u64" });
/** struct cmsghdr with one descriptor, padded to CMSG_SPACE. */
const cmsgFd = defineStruct({ len: "u64", level: "i32", type: "i32", fd: "i32", pad: "i32" });
const CMSG_LEN_ONE_FD = 20;

/** Sends one message, with a descriptor beside it if given. */
export function sendMessage(socket: number, bytes: Uint8Array, fd?: number): void {
  const [header, vector, control] = [msghdr.alloc(), iovec.alloc(), cmsgFd.alloc()];
  iovec.set(vector, "base", addressOf(bytes));
  iovec.set(vector, "len", bytes.length);
  msghdr.set(header, "iov", addressOf(vector));
  msghdr.set(header, "iovlen", 1);
  if (fd !== undefined) {
    cmsgFd.set(control, "len", CMSG_LEN_ONE_FD);
    cmsgFd.set(control, "level", SOL_SOCKET);
    cmsgFd.set(control, "type", SCM_RIGHTS);
    cmsgFd.set(control, "fd", fd);
    msghdr.set(header, "control", addressOf(control));
    msghdr.set(header, "controllen", cmsgFd.size);
  }
  check("sendmsg", () => ({ fd: socket, passing: fd }), libc.sendmsg(socket, header, MSG_NOSIGNAL));
}

/** Receives one message of at most 64 KiB. @returns undefined when the other end is closed */
export function receiveMessage(socket: number): { bytes: Uint8Array; fd?: number } | undefined {
  const buffer = new Uint8Array(65536);
  const [header, vector, control] = [msghdr.alloc(), iovec.alloc(), cmsgFd.alloc()];
  iovec.set(vector, "base", addressOf(buffer));
  iovec.set(vector, "len", buffer.length);
  msghdr.set(header, "iov", addressOf(vector));
  msghdr.set(header, "iovlen", 1);
  msghdr.set(header, "control", addressOf(control));
  msghdr.set(header, "controllen", cmsgFd.size);
  const length = check(
    "recvmsg",
    () => ({ fd: socket }),
    libc.recvmsg(socket, header, MSG_CMSG_CLOEXEC),
  );
  if (length === 0) return undefined;
  const passed =
    msghdr.get(header, "controllen") >= CMSG_LEN_ONE_FD &&
    cmsgFd.get(control, "type") === SCM_RIGHTS;
  return {
    bytes: buffer.subarray(0, length),
    ...(passed ? { fd: cmsgFd.get(control, "fd") } : {}),
  };
}

/** recv(2) that never waits. @returns the count of bytes, 0 at the end */
export function receiveNow(socket: number, buffer: Uint8Array): number {
  const result = libc.recv(socket, buffer, buffer.length, MSG_DONTWAIT);
  return check("recv", () => ({ fd: socket }), result);
}

/** send(2) that never waits. @returns the count of bytes that were taken */
export function sendNow(socket: number, bytes: Uint8Array): number {
  const result = libc.send(socket, bytes, bytes.length, MSG_DONTWAIT | MSG_NOSIGNAL);
  return check("send", () => ({ fd: socket }), result);
}

/** Sets IFF_UP on `lo` of the current network namespace. */
export function bringLoopbackUp(): void {
  const SIOCSIFFLAGS = 0x8914;
  const socket = check("socket", {}, libc.socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  try {
    const ifreq = new Uint8Array(40);
    ifreq.set([0x6c, 0x6f]); // "lo"
    ifreq.set([0x41, 0], 16); // IFF_UP | IFF_RUNNING
    check("ioctl SIOCSIFFLAGS", { name: "lo" }, libc.ioctl(socket, SIOCSIFFLAGS, ifreq));
  } finally {
    close(socket);
  }
}
