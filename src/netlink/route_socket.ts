/** Asking the kernel by rtnetlink(7): requests are values of link.ts, address.ts and route.ts. */
import { isErrno } from "../ffi/call.ts";
import { close } from "../linux/fd.ts";
import {
  NETLINK_ROUTE,
  openNetlink,
  receiveNetlink,
  sendNetlink,
} from "../linux/netlink_socket.ts";
import { getAddresses, type InterfaceAddress, parseAddress } from "./address.ts";
import { getLink, getLinks, type Link, type LinkSelector, parseLink } from "./link.ts";
import {
  decodeMessages,
  encodeMessage,
  errorOf,
  type Message,
  NLM_F_ACK,
  NLM_F_DUMP,
  NLM_F_DUMP_INTR,
  NLMSG_DONE,
  NLMSG_ERROR,
  type Request,
} from "./message.ts";
import { getRoutes, parseRoute, type Route } from "./route.ts";

/** More than the kernel puts into one datagram (NLMSG_GOODSIZE, and 32 KiB in dumps). */
const BUFFER = 64 * 1024;
/** How often a dump is begun anew because something has changed meanwhile. */
const DUMPS = 10;

/**
 * A socket of one network namespace: that which its maker was in. It stays there. All calls wait for
 * the kernel's answer, which it gives at once.
 */
export class RouteSocket implements Disposable {
  readonly #fd: number;
  readonly #buffer = new Uint8Array(BUFFER);
  #sequence = 0;

  constructor() {
    this.#fd = openNetlink(NETLINK_ROUTE);
  }

  [Symbol.dispose](): void {
    close(this.#fd);
  }

  /** Has the kernel do something. @throws {NetlinkError} */
  change(request: Request): void {
    this.#ask({ ...request, flags: request.flags | NLM_F_ACK });
  }

  /** The device; undefined when there is none. */
  link(which: LinkSelector): Link | undefined {
    try {
      const request = getLink(which);
      return this.#parsed({ ...request, flags: request.flags | NLM_F_ACK }, parseLink)[0];
    } catch (error) {
      if (isErrno(error, "ENODEV")) return undefined;
      throw error;
    }
  }

  /** All devices. */
  links(): Link[] {
    return this.#parsed(getLinks(), parseLink);
  }

  /** The addresses of the device with this index. */
  addresses(index: number): InterfaceAddress[] {
    const all = this.#parsed(getAddresses(index), parseAddress);
    return all.filter((address) => address.index === index);
  }

  /** The routes of all tables. */
  routes(version: 4 | 6): (Route & { readonly table: number })[] {
    return this.#parsed(getRoutes(version), parseRoute);
  }

  #parsed<T>(request: Request, parse: (message: Message) => T | undefined): T[] {
    return this.#ask(request).flatMap((message) => parse(message) ?? []);
  }

  /** The messages that answer a request. @throws {NetlinkError} */
  #ask(request: Request): Message[] {
    for (let attempt = 1; ; attempt++) {
      const messages = this.#askOnce(request);
      const isTorn = messages.some(({ flags }) => (flags & NLM_F_DUMP_INTR) !== 0);
      if (!isTorn || (request.flags & NLM_F_DUMP) !== NLM_F_DUMP || attempt === DUMPS) {
        return messages;
      }
    }
  }

  #askOnce(request: Request): Message[] {
    const sequence = ++this.#sequence;
    const { operation, args } = request;
    sendNetlink(this.#fd, encodeMessage(request, sequence), () => ({ operation, ...args }));
    const answers: Message[] = [];
    for (;;) {
      for (const message of this.#receive()) {
        if (message.seq !== sequence) continue; // of a request that was given up
        if (message.type === NLMSG_ERROR || message.type === NLMSG_DONE) {
          const error = errorOf(message, request);
          if (error !== undefined) throw error;
          answers.push(message); // a dump without a result may be torn, too
          return answers;
        }
        answers.push(message);
      }
    }
  }

  /** The next datagram's messages, in memory of their own: they outlive the next datagram. */
  #receive(): Message[] {
    const length = receiveNetlink(this.#fd, this.#buffer);
    if (length > this.#buffer.length) {
      throw new Error(`netlink: an answer of ${length} bytes is too long`);
    }
    return decodeMessages(this.#buffer.slice(0, length));
  }
}
