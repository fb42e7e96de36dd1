/** `update -p`: ports of a container that are published after it was made. */
import { MydockerError } from "../errors.ts";
import type { PortDoor } from "../network/door.ts";
import { publishLive } from "../network/live_ports.ts";
import type { PortRequest } from "../network/ports.ts";
import type { Paths } from "../paths.ts";
import { frameJson, readJson, type StartFailure, TAG } from "./attach_protocol.ts";
import {
  type FoundContainer,
  findContainer,
  RunningProcess,
  recordOf,
} from "./lifecycle_process.ts";
import { askMonitor } from "./monitor_socket.ts";
import { isOnNetworks } from "./network_mode.ts";
import { awaitRemoval } from "./ownership.ts";

/** Which ports are to be published. */
export interface PublishRequest {
  /** instead of those that are, not beside them */
  readonly replace: boolean;
  readonly ports: readonly PortRequest[];
}

/**
 * Publishes ports: at once if it runs, and from its next start on.
 * @throws {MydockerError} for a port that is in use, and when there is nobody who could hold it
 */
export function updatePorts(paths: Paths, reference: string, request: PublishRequest): void {
  const found = findContainer(paths, reference);
  using _change = awaitRemoval(paths, found.id);
  const record = recordOf(found);
  const { options } = record;
  const fail = (why: string, hint?: string) =>
    new MydockerError(
      `Cannot update container ${found.id}: ${why}`,
      hint === undefined ? {} : { hint },
    );
  if (!isOnNetworks(options))
    throw fail(`ports of a container with --network ${options.network} cannot be published`);
  using process = RunningProcess.of(found);
  if (process !== undefined) {
    const answer = askMonitor(paths, found.id, frameJson(TAG.publish, request));
    if (answer === undefined)
      throw fail(
        "it runs in the foreground, and who attends to it takes no ports",
        "`run -d` and `start` make containers whose ports can be changed",
      );
    if (answer[0] === TAG.failed) throw fail(readJson<StartFailure>(answer).message);
  }
  keep(found, request);
}

function keep(found: FoundContainer, { replace, ports }: PublishRequest): void {
  const record = recordOf(found);
  const { ports: old = [], ...rest } = record.options;
  const all = [...(replace ? [] : old), ...ports];
  const options = all.length === 0 ? rest : { ...rest, ports: all };
  found.store.writeRecord({ ...record, options });
  found.store.syncRecord(found.id);
}

/** What a monitor does when it is asked. */
export function publishOf(door: PortDoor, message: Uint8Array): void {
  const { replace, ports } = readJson<PublishRequest>(message);
  publishLive(ports, replace, door);
}
