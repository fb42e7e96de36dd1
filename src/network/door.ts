/**
 * The ports of the host that this process holds for a container, and whoever comes to their sockets:
 * what the firewall redirects does not, so they are clients of an address that it does not redirect
 * (`::1`, IPv6 where the container has IPv4 alone), or there is no nf_tables. Who serves them is loaded
 * when the first comes (docs/decisions/proxy.md).
 */
import { close, POLLIN, type PollEntry } from "../linux/fd.ts";
import type { Paths } from "../paths.ts";
import type { PortProxy } from "./proxy.ts";
import type { Listener } from "./proxy_context.ts";

/** So many sockets are waited for one by one. */
const FEW = 16;

type ProxyModule = typeof import("./proxy.ts");

/** Those of one container. */
export class PortDoor implements Disposable {
  readonly listeners = new Map<number, Listener>();
  /** By what they hold. */
  readonly #held = new Map<string, readonly number[]>();
  #proxy: PortProxy | undefined;

  constructor(
    readonly paths: Paths,
    readonly id: string,
  ) {}

  /** @param name says which port it is */
  hold(name: string, listeners: readonly Listener[]): void {
    this.#held.set(
      name,
      listeners.map(({ fd }) => fd),
    );
    for (const listener of listeners) {
      this.listeners.set(listener.fd, listener);
      this.#proxy?.watch(listener);
    }
  }

  letGo(name: string): void {
    for (const fd of this.#held.get(name) ?? []) {
      this.listeners.delete(fd);
      close(fd);
    }
    this.#held.delete(name);
  }

  /** What to wait for: each socket, until somebody comes. */
  entries(): PollEntry[] {
    if (this.listeners.size > FEW) this.#openProxy();
    if (this.#proxy !== undefined) return [{ fd: this.#proxy.fd, events: POLLIN, revents: 0 }];
    return [...this.listeners.keys()].map((fd) => ({ fd, events: POLLIN, revents: 0 }));
  }

  #openProxy(): PortProxy {
    // biome-ignore lint/style/noCommonJs: loaded for the few that need it, by one that does not wait
    const { PortProxy } = require("./proxy.ts") as ProxyModule;
    this.#proxy ??= new PortProxy(this.paths, this.id, this.listeners);
    return this.#proxy;
  }

  /** How long to wait at most, in milliseconds. */
  get patience(): number {
    return this.#proxy?.patience ?? Number.POSITIVE_INFINITY;
  }

  /** Goes on, after waiting. */
  step(entries: readonly PollEntry[]): void {
    if (entries.some(({ revents }) => revents !== 0) || this.#proxy !== undefined)
      this.#openProxy().step();
  }

  /** The container has ended: what it said last is passed on, and nobody is served any more. */
  shut(): void {
    this.#proxy?.[Symbol.dispose]();
    this.#proxy = undefined;
  }

  [Symbol.dispose](): void {
    this.shut();
    for (const name of [...this.#held.keys()]) this.letGo(name);
  }
}
