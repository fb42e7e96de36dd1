/** Connections of TCP that are copied: both directions end by themselves, and wait for who is slow. */
import { isErrno, SysError } from "../ffi/call.ts";
import { EPOLLERR, EPOLLHUP, EPOLLIN, EPOLLOUT } from "../linux/epoll.ts";
import { close } from "../linux/fd.ts";
import {
  acceptInet,
  connectInet,
  endSending,
  isConnected,
  promptly,
  reset,
} from "../linux/inet_socket.ts";
import { receiveNow, sendNow } from "../linux/socket.ts";
import type { Listener, ProxyContext } from "./proxy_context.ts";

/** How many are accepted before others have their turn. */
const TURN = 64;
/** How much is read at once. */
const CHUNK = 256 * 1024;
const NOTHING = new Uint8Array(0);

/** One end of a connection. */
interface Side {
  readonly fd: number;
  /** undefined while it is not waited for at all */
  events: number | undefined;
  /** what this end has not taken yet */
  pending: Uint8Array;
  /** it says nothing more */
  hasEnded: boolean;
  /** it was told that nothing more comes */
  isTold: boolean;
  isConnecting: boolean;
}

interface Pair {
  readonly client: Side;
  readonly server: Side;
}

const newSide = (fd: number, isConnecting: boolean): Side => ({
  fd,
  events: undefined,
  pending: NOTHING,
  hasEnded: false,
  isTold: false,
  isConnecting,
});

/** All of a container's. */
export class ProxiedStreams {
  readonly #pairs = new Map<number, Pair>();
  readonly #buffer = new Uint8Array(CHUNK);

  constructor(readonly proxy: ProxyContext) {}

  get count(): number {
    return this.#pairs.size / 2;
  }

  /** Takes clients and leads them on. One that cannot be led anywhere finds the connection broken off. */
  accept(listener: Listener): void {
    for (let count = 0; count < TURN && this.proxy.hasRoom(2); count++) {
      const accepted = acceptInet(listener.fd);
      if (accepted === undefined) return;
      const { fd, client } = accepted;
      const target = this.proxy.target(listener, client);
      if (target === undefined) {
        reset(fd);
        continue;
      }
      try {
        const pair = {
          client: newSide(fd, false),
          server: newSide(connectInet("tcp", target), true),
        };
        for (const side of [pair.client, pair.server]) {
          this.#pairs.set(side.fd, pair);
          promptly(side.fd);
        }
        this.#wait(pair);
      } catch (error) {
        if (!(error instanceof SysError)) throw error;
        const pair = this.#pairs.get(fd);
        if (pair === undefined) reset(fd);
        else this.#breakOff(pair);
      }
    }
  }

  /** @returns false for a descriptor that is none of ours */
  serve(fd: number, events: number): boolean {
    const pair = this.#pairs.get(fd);
    if (pair === undefined) return false;
    const [side, other] =
      pair.client.fd === fd ? [pair.client, pair.server] : [pair.server, pair.client];
    try {
      if (side.isConnecting) {
        if (!isConnected(fd)) return this.#breakOff(pair);
        side.isConnecting = false;
      }
      if ((events & EPOLLOUT) !== 0) this.#flush(side);
      if ((events & (EPOLLIN | EPOLLHUP)) !== 0 && canRead(side, other)) this.#copy(side, other);
      else if ((events & EPOLLERR) !== 0) return this.#breakOff(pair);
      else if ((events & EPOLLHUP) !== 0) this.#ignore(side); // it would be said again and again
      this.#endOrWait(pair);
    } catch (error) {
      if (!(error instanceof SysError)) throw error;
      this.#breakOff(pair);
    }
    return true;
  }

  #copy(from: Side, to: Side): void {
    let count: number;
    try {
      count = receiveNow(from.fd, this.#buffer);
    } catch (error) {
      if (isErrno(error, "EAGAIN")) return;
      throw error;
    }
    if (count === 0) {
      from.hasEnded = true;
      return;
    }
    const bytes = this.#buffer.subarray(0, count);
    const sent = send(to, bytes);
    if (sent < count) to.pending = bytes.slice(sent);
  }

  #flush(side: Side): void {
    if (side.pending.length > 0) side.pending = side.pending.subarray(send(side, side.pending));
    if (side.pending.length === 0) side.pending = NOTHING;
  }

  #endOrWait(pair: Pair): void {
    const { client, server } = pair;
    for (const [side, other] of [
      [client, server],
      [server, client],
    ] as const) {
      if (!other.hasEnded || side.isTold || side.pending.length > 0 || side.isConnecting) continue;
      endSending(side.fd);
      side.isTold = true;
    }
    if (client.isTold && server.isTold) this.#close(pair);
    else this.#wait(pair);
  }

  #wait({ client, server }: Pair): void {
    this.#waitFor(client, server);
    this.#waitFor(server, client);
  }

  #waitFor(side: Side, other: Side): void {
    const reads = canRead(side, other) ? EPOLLIN : 0;
    const events = reads | (side.isConnecting || side.pending.length > 0 ? EPOLLOUT : 0);
    if (events === side.events || (events === 0 && side.events === undefined)) return;
    if (side.events === undefined) this.proxy.epoll.add(side.fd, events);
    else this.proxy.epoll.change(side.fd, events);
    side.events = events;
  }

  #ignore(side: Side): void {
    if (side.events !== undefined) this.proxy.epoll.remove(side.fd);
    side.events = undefined;
  }

  #forget({ client, server }: Pair): void {
    this.#pairs.delete(client.fd);
    this.#pairs.delete(server.fd);
  }

  #close(pair: Pair): void {
    this.#forget(pair);
    close(pair.client.fd);
    close(pair.server.fd);
  }

  #breakOff(pair: Pair): true {
    this.#forget(pair);
    reset(pair.client.fd);
    reset(pair.server.fd);
    return true;
  }

  /** What the container has said before it ended is given to the kernel, as far as that takes it now. */
  end(): void {
    for (const pair of new Set(this.#pairs.values())) {
      let isWhole = false;
      try {
        isWhole = this.#passRest(pair);
      } catch (error) {
        if (!(error instanceof SysError)) throw error;
      }
      this.#forget(pair);
      close(pair.server.fd);
      if (isWhole) close(pair.client.fd);
      else reset(pair.client.fd);
    }
  }

  /** @returns whether the client gets all of it */
  #passRest({ client, server }: Pair): boolean {
    this.#flush(client);
    while (client.pending.length === 0 && !server.hasEnded) this.#copy(server, client);
    // What the client has said, and nobody wants: unread, the kernel would break off what we say.
    while (!client.hasEnded) {
      if (receiveNow(client.fd, this.#buffer) === 0) client.hasEnded = true;
    }
    return client.pending.length === 0 && server.hasEnded;
  }
}

const canRead = (side: Side, other: Side): boolean =>
  !side.hasEnded && !side.isConnecting && !other.isConnecting && other.pending.length === 0;

/** @returns how much was taken */
function send({ fd }: Side, bytes: Uint8Array): number {
  try {
    return sendNow(fd, bytes);
  } catch (error) {
    if (isErrno(error, "EAGAIN")) return 0;
    throw error;
  }
}
