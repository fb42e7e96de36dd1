/** epoll(7), level-triggered: one descriptor that is ready when one of many is. */
import { check, errno } from "../ffi/call.ts";
import { libc } from "../ffi/libc.ts";

const EPOLL_CLOEXEC = 0o2000000;
const EPOLL_CTL = { add: 1, remove: 2, change: 3 } as const;
const EINTR = 4;

export const EPOLLIN = 1;
export const EPOLLOUT = 4;
export const EPOLLERR = 8;
export const EPOLLHUP = 16;

/** struct epoll_event is packed on x86-64 alone (sys/epoll.h). */
const EVENT = process.arch === "x64" ? { size: 12, data: 4 } : { size: 16, data: 8 };
/** How many that are ready are taken at once. */
const MOST = 256;

/** A set of descriptors that are waited for. Closing a descriptor takes it out. */
export class Epoll implements Disposable {
  readonly fd = check("epoll_create1", {}, libc.epoll_create1(EPOLL_CLOEXEC));
  readonly #event = new Uint8Array(EVENT.size);
  readonly #found = new Uint8Array(EVENT.size * MOST);

  /** @param events none: only errors and hang-ups */
  add(fd: number, events: number): void {
    this.#control("add", fd, events);
  }

  change(fd: number, events: number): void {
    this.#control("change", fd, events);
  }

  remove(fd: number): void {
    this.#control("remove", fd, 0);
  }

  #control(what: keyof typeof EPOLL_CTL, fd: number, events: number): void {
    const view = new DataView(this.#event.buffer);
    view.setUint32(0, events, true);
    view.setInt32(EVENT.data, fd, true);
    const result = libc.epoll_ctl(this.fd, EPOLL_CTL[what], fd, this.#event);
    check("epoll_ctl", () => ({ fd, to: what }), result);
  }

  /** What is ready now; never waits. */
  ready(): { readonly fd: number; readonly events: number }[] {
    const count = libc.epoll_wait(this.fd, this.#found, MOST, 0);
    if (count < 0) {
      if (errno() === EINTR) return [];
      check("epoll_wait", { fd: this.fd }, count);
    }
    const view = new DataView(this.#found.buffer);
    return Array.from({ length: count }, (_, index) => {
      const at = index * EVENT.size;
      return {
        fd: view.getInt32(at + EVENT.data, true),
        events: view.getUint32(at, true),
      };
    });
  }

  [Symbol.dispose](): void {
    check("close", () => ({ fd: this.fd }), libc.close(this.fd));
  }
}
