/** The health of a container while it runs, as its monitor looks after it: when the next probe is due, and what they have said. */
import { SysError } from "../ffi/call.ts";
import type { Healthcheck } from "../images/image_config.ts";
import { close, POLLIN, type PollEntry } from "../linux/fd.ts";
import { kill, P_PID, SIGNALS, waitExit } from "../linux/process.ts";
import { receiveMessage } from "../linux/socket.ts";
import { readJson, TAG } from "./attach_protocol.ts";
import type { CreatedContainer } from "./create.ts";
import { recordContainerEvent } from "./events.ts";
import {
  afterProbe,
  exceeded,
  type Health,
  type ProbeResult,
  probeCommand,
  probeInterval,
  probeTimeout,
  STARTING,
} from "./health.ts";
import { spawnMonitor } from "./monitor_request.ts";

/** Docker's, where the image names no other. */
const SHELL = ["/bin/sh", "-c"];
/** How much longer than its timeout a probe may take to begin and to report, in milliseconds. */
const PATIENCE = 20_000;

interface Probe {
  readonly pid: number;
  readonly socket: number;
  /** milliseconds that the container had run */
  readonly ranFor: number;
  readonly deadline: number;
  isKilled: boolean;
}

/** One run of a container with a health check. */
export class HealthMonitor {
  readonly #container: CreatedContainer;
  readonly #check: Healthcheck;
  readonly #command: readonly string[];
  #health: Health = STARTING;
  #beganAt = performance.now();
  #probe: Probe | undefined;
  #due = Number.POSITIVE_INFINITY;
  #isPaused: () => boolean = () => false;

  private constructor(container: CreatedContainer, check: Healthcheck, command: readonly string[]) {
    this.#container = container;
    this.#check = check;
    this.#command = command;
    this.#write();
  }

  /** @returns undefined for a container that has none */
  static of(container: CreatedContainer): HealthMonitor | undefined {
    const check = container.record.options.healthcheck;
    const shell = container.root.config.Shell ?? [];
    const command = probeCommand(check, shell.length > 0 ? shell : SHELL);
    if (check === undefined || command === undefined) return undefined;
    return new HealthMonitor(container, check, command);
  }

  /** The container runs from now on. @param isPaused whether it is just paused */
  begin(isPaused: () => boolean): void {
    this.#isPaused = isPaused;
    this.#beganAt = performance.now();
    this.#schedule();
  }

  /** What to wait for: a descriptor, -1 for none. */
  interest(): PollEntry {
    return { fd: this.#probe?.socket ?? -1, events: POLLIN, revents: 0 };
  }

  /** How long to wait at most, in milliseconds. */
  get patience(): number {
    const at = this.#probe === undefined ? this.#due : this.#probe.deadline;
    return Math.max(0, Math.ceil(at - performance.now()));
  }

  /** Goes on, after waiting. */
  step({ revents }: PollEntry): void {
    const probe = this.#probe;
    if (probe === undefined) {
      if (this.patience === 0) this.#begin();
    } else if (revents !== 0) this.#hear(probe);
    else if (this.patience === 0 && !probe.isKilled) {
      // Its end is heard of then.
      probe.isKilled = true;
      kill(probe.pid, SIGNALS.SIGKILL);
    }
  }

  /** The container has ended: what has no health is not healthy, as with Docker. */
  end(): void {
    if (this.#probe !== undefined) {
      kill(this.#probe.pid, SIGNALS.SIGKILL);
      this.#forget(this.#probe);
    }
    this.#health = { ...this.#health, Status: "unhealthy" };
    this.#write();
  }

  #begin(): void {
    const timeout = probeTimeout(this.#check);
    const now = performance.now();
    const request = { container: this.#container.record.id, command: this.#command, timeout };
    try {
      const spawned = spawnMonitor({ kind: "probe", probe: request });
      const ranFor = now - this.#beganAt;
      this.#probe = { ...spawned, ranFor, deadline: now + timeout + PATIENCE, isKilled: false };
    } catch (error) {
      if (!(error instanceof SysError)) throw error;
      const at = new Date().toISOString();
      const result = { Start: at, End: at, ExitCode: -1, Output: error.message };
      this.#take(result, now - this.#beganAt);
      this.#schedule();
    }
  }

  /** A result, that there is none since the container is paused, or the end of the probe's process. */
  #hear(probe: Probe): void {
    const message = receiveMessage(probe.socket)?.bytes;
    if (message === undefined) {
      if (probe.isKilled && !this.#isPaused()) this.#take(this.#tookTooLong(), probe.ranFor);
      this.#forget(probe);
      this.#schedule();
    } else if (message[0] === TAG.probed) this.#take(readJson<ProbeResult>(message), probe.ranFor);
  }

  #tookTooLong(): ProbeResult {
    const End = new Date().toISOString();
    return { Start: End, End, ExitCode: -1, Output: exceeded(probeTimeout(this.#check)) };
  }

  #forget({ pid, socket }: Probe): void {
    close(socket);
    waitExit(P_PID, pid);
    this.#probe = undefined;
  }

  #take(result: ProbeResult, ranFor: number): void {
    const before = this.#health;
    this.#health = afterProbe(before, result, this.#check, ranFor);
    this.#write();
    const { Status } = this.#health;
    if (Status === before.Status) return;
    const { paths, store, record } = this.#container;
    recordContainerEvent(paths, store.current(record), `health_status: ${Status}`);
  }

  #schedule(): void {
    const now = performance.now();
    this.#due = now + probeInterval(this.#check, this.#health, now - this.#beganAt);
  }

  #write(): void {
    const { store, record } = this.#container;
    try {
      store.writeHealth(record.id, this.#health);
    } catch (error) {
      // A full disk, or somebody who removes it by force: its health is no reason to end it.
      if (!(error instanceof SysError)) throw error;
    }
  }
}
