/** Datagrams that are copied: a socket for each client, as long as anything comes or goes. */
import { SysError } from "../ffi/call.ts";
import { askForPath, type DatagramPath, receiveVia, sendVia } from "../linux/datagram_address.ts";
import { EPOLLIN } from "../linux/epoll.ts";
import { close } from "../linux/fd.ts";
import { connectInet, decodeSocketAddress } from "../linux/inet_socket.ts";
import { receiveNow, sendNow } from "../linux/socket.ts";
import type { Listener, ProxyContext } from "./proxy_context.ts";

/** How many are read before others have their turn. */
const TURN = 64;
/** How long a client is remembered that says nothing and hears nothing, in milliseconds, as Docker's. */
const PATIENCE = 90_000;
/** How many clients a container has at most: who speaks next takes the place of the one who came first. */
const MOST = 1024;

/** A client of a port. */
interface Client {
  readonly key: string;
  readonly listener: Listener;
  readonly path: DatagramPath;
  /** connected with the container */
  readonly fd: number;
  deadline: number;
}

/** All of a container's. */
export class ProxiedDatagrams {
  readonly #clients = new Map<string, Client>();
  readonly #byDescriptor = new Map<number, Client>();
  readonly #buffer = new Uint8Array(65536);

  constructor(readonly proxy: ProxyContext) {}

  get count(): number {
    return this.#clients.size;
  }

  /** How long to wait at most, in milliseconds. */
  get patience(): number {
    return this.count === 0 ? Number.POSITIVE_INFINITY : PATIENCE / 3;
  }

  /** Before anything is read from a socket. */
  prepare({ fd, version }: Listener): void {
    askForPath(fd, version);
  }

  /** Datagrams for the container. One that cannot be led on is lost, as they may be. */
  receive(listener: Listener): void {
    for (let count = 0; count < TURN; count++) {
      const received = receiveVia(listener.fd, this.#buffer, listener.version);
      if (received === undefined) return;
      const client = this.#clientOf(listener, received.path);
      if (client !== undefined) this.#send(client, this.#buffer.subarray(0, received.length));
    }
  }

  #send(client: Client, bytes: Uint8Array): void {
    client.deadline = performance.now() + PATIENCE;
    // The error of an earlier one, which nobody took, is said once (ECONNREFUSED, udp(7)).
    for (let attempt = 0; attempt < 2; attempt++) {
      try {
        sendNow(client.fd, bytes);
        return;
      } catch (error) {
        if (!(error instanceof SysError)) throw error;
      }
    }
  }

  #clientOf(listener: Listener, path: DatagramPath): Client | undefined {
    const key = `${listener.fd} ${path.from.join(",")} ${path.via.join(",")}`;
    const known = this.#clients.get(key);
    const target = this.proxy.target(listener, decodeSocketAddress(path.from));
    if (known !== undefined && target !== undefined) return known;
    if (known !== undefined) this.#forget(known);
    if (target === undefined) return undefined;
    const [first] = this.#clients.values();
    if (first !== undefined && (this.count >= MOST || !this.proxy.hasRoom(1))) this.#forget(first);
    try {
      const fd = connectInet("udp", target);
      const client = { key, listener, path, fd, deadline: 0 };
      this.#clients.set(key, client);
      this.#byDescriptor.set(fd, client);
      this.proxy.epoll.add(fd, EPOLLIN);
      return client;
    } catch (error) {
      if (!(error instanceof SysError)) throw error;
      return undefined;
    }
  }

  /** Datagrams from the container. */
  answer(fd: number): void {
    const client = this.#byDescriptor.get(fd);
    if (client === undefined) return;
    for (let count = 0; count < TURN; count++) {
      try {
        const length = receiveNow(fd, this.#buffer);
        client.deadline = performance.now() + PATIENCE;
        sendVia(client.listener.fd, this.#buffer.subarray(0, length), client.path);
      } catch (error) {
        if (!(error instanceof SysError)) throw error;
        return; // none any more, or nobody listens there yet
      }
    }
  }

  /** Clients that have been silent for long, and those of ports that are not held any more. */
  forget(): void {
    const now = performance.now();
    for (const client of this.#clients.values()) {
      if (client.deadline <= now || !this.proxy.isHeld(client.listener)) this.#forget(client);
    }
  }

  #forget({ key, fd }: Client): void {
    this.#clients.delete(key);
    this.#byDescriptor.delete(fd);
    close(fd);
  }

  end(): void {
    for (const client of this.#clients.values()) {
      this.answer(client.fd);
      this.#forget(client);
    }
  }
}
