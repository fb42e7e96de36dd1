/** Telling nf_tables: what is sent together takes effect together, or not at all. */
import { isErrno } from "../ffi/call.ts";
import { close } from "../linux/fd.ts";
import {
  NETLINK_NETFILTER,
  openNetlink,
  receiveNetlink,
  sendNetlink,
} from "../linux/netlink_socket.ts";
import { receiveNow } from "../linux/socket.ts";
import { concat } from "./attributes.ts";
import {
  decodeMessages,
  encodeMessage,
  errorOf,
  type Message,
  type NetlinkError,
  NLM_F_ACK,
  NLMSG_DONE,
  NLMSG_ERROR,
  type Request,
} from "./message.ts";

// linux/netfilter/nfnetlink.h
const NFNL_MSG_BATCH_BEGIN = 0x10;
const NFNL_MSG_BATCH_END = 0x11;
/** struct nfgenmsg with NFNL_SUBSYS_NFTABLES as its resource, in network byte order. */
const BATCH = Uint8Array.of(0, 0, 0, 10);

/** Whether an error says that the kernel has no nf_tables, or not the part that was asked for. */
export const lacksNftables = (error: unknown): boolean =>
  isErrno(error, "EPROTONOSUPPORT", "ESOCKTNOSUPPORT", "EAFNOSUPPORT", "EOPNOTSUPP");

/** A socket of one network namespace: that which its maker was in. */
export class NftSocket implements Disposable {
  readonly #fd = openNetlink(NETLINK_NETFILTER);

  [Symbol.dispose](): void {
    close(this.#fd);
  }

  /**
   * One transaction.
   * @throws {NetlinkError} the first error that is not the consequence of another one
   */
  commit(requests: readonly Request[]): void {
    const [error] = this.tryCommit(requests);
    if (error !== undefined) throw error;
  }

  /** @returns the errors because of which nothing was done; none when all was */
  tryCommit(requests: readonly Request[]): NetlinkError[] {
    const bound = (type: number): Request => ({
      type,
      flags: 0,
      body: BATCH,
      operation: "nf_tables",
      args: {},
    });
    const all = [bound(NFNL_MSG_BATCH_BEGIN), ...requests, bound(NFNL_MSG_BATCH_END)];
    const last = all.length - 2;
    const encoded = all.map((request, index) => {
      const flags = request.flags | (index === last ? NLM_F_ACK : 0);
      return encodeMessage({ ...request, flags }, index);
    });
    const { operation, args } = all[1] as Request;
    sendNetlink(this.#fd, concat(encoded), () => ({ operation, ...args }));
    return this.#answers(all);
  }

  /** All of what there is of a kind. */
  dump(request: Request): Message[] {
    const { operation, args } = request;
    sendNetlink(this.#fd, encodeMessage(request, 1), () => ({ operation, ...args }));
    const buffer = new Uint8Array(64 * 1024);
    const found: Message[] = [];
    for (;;) {
      const length = receiveNetlink(this.#fd, buffer);
      for (const message of decodeMessages(buffer.slice(0, length))) {
        if (message.type === NLMSG_DONE) return found;
        const error = message.type === NLMSG_ERROR ? errorOf(message, request) : undefined;
        if (error !== undefined) throw error;
        found.push(message);
      }
    }
  }

  /** The kernel has put all that it says into our queue before send(2) returned. */
  #answers(asked: readonly Request[]): NetlinkError[] {
    const errors: NetlinkError[] = [];
    const buffer = new Uint8Array(16 * 1024);
    for (;;) {
      let length: number;
      try {
        length = receiveNow(this.#fd, buffer);
      } catch (error) {
        if (isErrno(error, "EAGAIN")) return errors;
        throw error;
      }
      for (const message of decodeMessages(buffer.slice(0, length))) {
        const request = asked[message.seq];
        if (message.type !== NLMSG_ERROR || request === undefined) continue;
        const error = errorOf(message, request);
        if (error !== undefined) errors.push(error);
      }
    }
  }
}
