/** The monitor of a container that has ended, while it waits to start it again by its restart policy. */
import { POLLIN, poll } from "../linux/fd.ts";
import { TAG } from "./attach_protocol.ts";
import { acceptClient, type MonitorClient } from "./monitor_client.ts";

/** How the wait ended. */
export interface BackOffEnd {
  /** false: somebody wants it stopped */
  readonly goesOn: boolean;
  /** Who did not want to wait, and is to hear how that went. */
  readonly starter?: MonitorClient;
  /** Everybody else who wants to hear of the container. */
  readonly clients: readonly MonitorClient[];
}

/**
 * Waits; who connects meanwhile may end that.
 * @param delay milliseconds
 */
export function backOff(listener: number, delay: number): BackOffEnd {
  // A clock that nobody sets.
  const deadline = performance.now() + delay;
  let clients: MonitorClient[] = [];
  for (;;) {
    const left = Math.ceil(deadline - performance.now());
    if (left <= 0) return { goesOn: true, clients };
    const entry = { fd: listener, events: POLLIN, revents: 0 };
    const interests = clients.map((client) => client.interest(true));
    poll([entry, ...interests], left);
    for (const [index, { revents }] of interests.entries()) {
      const client = clients[index] as MonitorClient;
      const [tag] = (revents === 0 ? undefined : client.receive()) ?? [];
      if (tag === TAG.cancel) return { goesOn: false, clients };
      if (tag !== TAG.begin) continue; // there is nobody whose input it could be
      return { goesOn: true, starter: client, clients: clients.filter((each) => each !== client) };
    }
    clients = clients.filter(({ isOpen }) => isOpen);
    const client = entry.revents === 0 ? undefined : acceptClient(listener);
    if (client !== undefined) clients.push(client);
  }
}
