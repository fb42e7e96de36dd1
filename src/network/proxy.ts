/**
 * Copies between clients that come to the socket of a published port and the container: from the
 * process that attends to it, in its poll loop (docs/decisions/proxy.md).
 */
import { EPOLLIN, Epoll } from "../linux/epoll.ts";
import type { SocketAddress } from "../linux/inet_socket.ts";
import { getrlimit, setrlimit } from "../linux/process.ts";
import { parseIp } from "../netlink/ip_address.ts";
import { RouteSocket } from "../netlink/route_socket.ts";
import type { Paths } from "../paths.ts";
import { contains, type Prefix, readPrefix, toNumber } from "./prefix.ts";
import type { Listener, ProxyContext } from "./proxy_context.ts";
import { ProxiedDatagrams } from "./proxy_datagrams.ts";
import { ProxiedStreams } from "./proxy_streams.ts";
import { Generation, readNetworks } from "./state.ts";
import { allNetworks } from "./store.ts";

const RLIMIT_NOFILE = 7;
/** Descriptors that are left to the rest of the process. */
const SPARE = 128;
/** As many as a process needs at most. */
const MOST = 1n << 20n;

/** One for all ports of a container. */
export class PortProxy implements Disposable, ProxyContext {
  readonly epoll = new Epoll();
  readonly #streams = new ProxiedStreams(this);
  readonly #datagrams = new ProxiedDatagrams(this);
  readonly #generation: Generation;
  readonly #before = getrlimit(RLIMIT_NOFILE);
  #limit = this.#before.soft;
  /** Where the ports lead, and who may not come: as long as nothing has changed. */
  #targets = new Map<string, SocketAddress>();
  #internal: readonly Prefix[] = [];
  #internalLinks: readonly number[] = [];
  /** Those that are full do not take anybody. */
  #paused = false;

  constructor(
    readonly paths: Paths,
    readonly id: string,
    readonly listeners: ReadonlyMap<number, Listener>,
  ) {
    this.#generation = new Generation(paths);
    for (const listener of listeners.values()) this.watch(listener);
  }

  /** Ready when there is something to do. */
  get fd(): number {
    return this.epoll.fd;
  }

  get patience(): number {
    return this.#datagrams.patience;
  }

  watch(listener: Listener): void {
    const { fd, protocol } = listener;
    if (protocol === "sctp") return;
    this.epoll.add(fd, protocol === "tcp" && this.#paused ? 0 : EPOLLIN);
    if (protocol === "udp") this.#datagrams.prepare(listener);
  }

  step(): void {
    for (const { fd, events } of this.epoll.ready()) {
      const listener = this.listeners.get(fd);
      if (listener?.protocol === "udp") this.#datagrams.receive(listener);
      else if (listener !== undefined) this.#streams.accept(listener);
      else if (!this.#streams.serve(fd, events)) this.#datagrams.answer(fd);
    }
    this.#datagrams.forget();
    this.#pause(!this.hasRoom(2));
  }

  #pause(pause: boolean): void {
    if (pause === this.#paused) return;
    this.#paused = pause;
    for (const { fd, protocol } of this.listeners.values()) {
      if (protocol === "tcp") this.epoll.change(fd, pause ? 0 : EPOLLIN);
    }
  }

  isHeld(listener: Listener): boolean {
    return this.listeners.get(listener.fd) === listener;
  }

  hasRoom(count: number): boolean {
    const used = BigInt(this.#streams.count * 2 + this.#datagrams.count + SPARE + count);
    if (used <= this.#limit) return true;
    const { hard } = this.#before;
    const most = hard < MOST ? hard : MOST;
    if (this.#limit < most) {
      setrlimit(RLIMIT_NOFILE, most, hard, "RLIMIT_NOFILE");
      this.#limit = most;
    }
    return used <= this.#limit;
  }

  target(listener: Listener, client: SocketAddress): SocketAddress | undefined {
    if (this.#generation.hasPassed()) this.#lookAgain();
    if (this.#isInternal(client)) return undefined;
    return this.#targets.get(keyOf(listener));
  }

  #lookAgain(): void {
    const ports = readNetworks(this.paths, this.id)?.ports ?? [];
    this.#targets = new Map(
      ports.flatMap((port) => {
        const address = parseIp(port.ip);
        return address === undefined ? [] : [[keyOf(port), { address, port: port.port }] as const];
      }),
    );
    const internal = allNetworks(this.paths).filter((network) => network.internal);
    this.#internal = internal.flatMap(({ subnets }) =>
      subnets.map(({ subnet }) => readPrefix(subnet)),
    );
    using socket = internal.length === 0 ? undefined : new RouteSocket();
    this.#internalLinks = internal.flatMap(({ link }) => socket?.link({ name: link })?.index ?? []);
  }

  /** Who is on an internal network reaches nothing outside of it. */
  #isInternal({ address, scope = 0 }: SocketAddress): boolean {
    if (this.#internal.length === 0) return false;
    if (this.#internalLinks.includes(scope)) return true;
    const number = toNumber(address);
    const version = address.length === 4 ? 4 : 6;
    return this.#internal.some((prefix) => prefix.version === version && contains(prefix, number));
  }

  [Symbol.dispose](): void {
    this.#streams.end();
    this.#datagrams.end();
    this.#generation[Symbol.dispose]();
    this.epoll[Symbol.dispose]();
    if (this.#limit === this.#before.soft) return;
    const { soft, hard } = this.#before;
    setrlimit(RLIMIT_NOFILE, soft, hard, "RLIMIT_NOFILE");
  }
}

const keyOf = ({ protocol, version, hostPort, hostIp }: Omit<Listener, "fd">): string =>
  `${protocol} ${version} ${hostIp ?? ""} ${hostPort}`;
