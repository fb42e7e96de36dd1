/** Netlink sockets (netlink(7)). Constants from linux/netlink.h and linux/socket.h. */
import { type CallArgs, check, isErrno, retryInterrupted } from "../ffi/call.ts";
import { libc } from "../ffi/libc.ts";
import { defineStruct } from "../ffi/struct.ts";
import { close } from "./fd.ts";

const AF_NETLINK = 16;
const SOCK_RAW = 3;
const SOCK_CLOEXEC = 0o2000000;
const SOL_NETLINK = 270;
const MSG_TRUNC = 0x20;

export const NETLINK_ROUTE = 0;
export const NETLINK_NETFILTER = 12;

/** Errors do not repeat the request; Linux 4.2. */
const NETLINK_CAP_ACK = 10;
/** Errors come with a text; Linux 4.12. */
const NETLINK_EXT_ACK = 11;
/** Dumps are filtered by what the request says; Linux 4.20. */
const NETLINK_GET_STRICT_CHK = 12;

const sockaddrNl = defineStruct({ family: "u16", pad: "u16", pid: "u32", groups: "u32" });

/**
 * A socket of the network namespace that the calling thread is in, close-on-exec. It is connected to
 * the kernel: what somebody else in that namespace sends to it is refused.
 */
export function openNetlink(protocol: number): number {
  const fd = check("socket", {}, libc.socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol));
  try {
    for (const option of [NETLINK_CAP_ACK, NETLINK_EXT_ACK, NETLINK_GET_STRICT_CHK])
      setOption(fd, option);
    const kernel = sockaddrNl.alloc();
    sockaddrNl.set(kernel, "family", AF_NETLINK);
    check("connect", { name: "netlink" }, libc.connect(fd, kernel, kernel.length));
    return fd;
  } catch (error) {
    close(fd);
    throw error;
  }
}

function setOption(fd: number, option: number): void {
  const on = Uint8Array.of(1, 0, 0, 0);
  try {
    check("setsockopt", { option }, libc.setsockopt(fd, SOL_NETLINK, option, on, on.length));
  } catch (error) {
    if (!isErrno(error, "ENOPROTOOPT")) throw error; // an older kernel: it says less
  }
}

/** send(2) of one request. @param args what is asked for, for errors and `--debug` */
export function sendNetlink(fd: number, bytes: Uint8Array, args: () => CallArgs): void {
  retryInterrupted(() => check("send", args, libc.send(fd, bytes, bytes.length, 0)));
}

/**
 * recv(2) of one datagram.
 * @returns its length, which is more than the buffer's if that is too short
 */
export function receiveNetlink(fd: number, buffer: Uint8Array): number {
  return retryInterrupted(() =>
    check("recv", () => ({ fd }), libc.recv(fd, buffer, buffer.length, MSG_TRUNC)),
  );
}
