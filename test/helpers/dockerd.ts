/** dockerd with sockets, directories and a network namespace of its own, and `docker`, its client. */

import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { CallOptions, Engine, Result } from "./cli.ts";
import {
  cgroupsBelow,
  type Daemon,
  processesOf,
  RUNTIMES,
  type RuntimeName,
  removeCgroups,
  startDaemon,
  untilReady,
} from "./daemon.ts";
import { writeImageArchive } from "./image_archive.ts";
import { waitFor } from "./wait.ts";

/** The image that is there. */
export const IMAGE = "busybox:test";

/** Debian's client, which is of the same version as its daemon. */
const CLIENT = existsSync("/usr/bin/docker") ? "/usr/bin/docker" : "docker";

/** A dockerd that runs. */
export class Dockerd {
  /** The parent of its containers' cgroups. */
  readonly cgroup: string;
  readonly #folder: string;
  readonly #host: string;
  #daemon: Daemon | undefined;

  /** @param name of its directory: several may follow each other */
  constructor(
    readonly engine: Engine,
    readonly name: string,
  ) {
    this.cgroup = `mydocker-test-${process.pid}-${name}`;
    this.#folder = engine.directory(name);
    this.#host = `unix://${this.#folder}/docker.sock`;
  }

  /** Starts it with mydocker as a further runtime, and loads the image. @param options of dockerd */
  async start(options: readonly string[] = []): Promise<void> {
    const daemon = startDaemon(
      this.engine,
      this.name,
      [
        ...["dockerd", "--host", this.#host, "--data-root", join(this.#folder, "data")],
        ...["--exec-root", join(this.#folder, "exec"), "--pidfile", join(this.#folder, "pid")],
        ...["--cgroup-parent", `/${this.cgroup}`, "--storage-driver", "overlay2"],
        ...["--add-runtime", `mydocker=${RUNTIMES.mydocker}`, ...options],
      ],
      { namespaces: ["--net"], before: "ip link set lo up" },
    );
    this.#daemon = daemon;
    await untilReady(daemon, async () => (await this.docker(["version"])).exitCode === 0);
    const file = join(this.#folder, "image.tar");
    writeImageArchive(file, IMAGE);
    const { exitCode, err } = await this.docker(["load", "--input", file]);
    if (exitCode !== 0) throw new Error(`docker load: ${err}`);
  }

  /** `docker ARGS…` to its end. */
  docker(args: readonly string[], options: CallOptions = {}): Promise<Result> {
    const env = { DOCKER_CONFIG: this.#folder, DOCKER_BUILDKIT: "0" };
    return this.engine.exec(this.command(args), { timeout: 60_000, env, ...options });
  }

  /** The command line of `docker ARGS…`. */
  command(args: readonly string[]): string[] {
    return [CLIENT, "--host", this.#host, ...args];
  }

  /** `docker run --rm --network none` to its end. */
  run(
    runtime: RuntimeName,
    options: readonly string[],
    command: readonly string[],
    call: CallOptions = {},
  ): Promise<Result> {
    const network = options.some((option) => /^--(network|publish)/.test(option))
      ? []
      : ["--network", "none"];
    return this.docker(
      ["run", "--rm", "--runtime", runtime, ...network, ...options, IMAGE, ...command],
      call,
    );
  }

  /** `docker run --detach`. @returns the container's id */
  async detached(
    runtime: RuntimeName,
    options: readonly string[],
    command: readonly string[],
  ): Promise<string> {
    const { exitCode, out, err } = await this.docker([
      "run",
      "--detach",
      "--runtime",
      runtime,
      ...options,
      IMAGE,
      ...command,
    ]);
    if (exitCode !== 0) throw new Error(`docker run --detach with ${runtime}: ${err}`);
    return out;
  }

  /** A field of `docker inspect` as Go's template prints it. */
  async inspect(id: string, template: string): Promise<string> {
    return (await this.docker(["inspect", "--format", template, id])).out;
  }

  /** Waits until a field has a value. */
  async until(id: string, template: string, value: string): Promise<void> {
    let found = "";
    await waitFor(
      () => `${template} of ${id} to be ${value}; it is ${found}`,
      async () => {
        found = await this.inspect(id, template);
        return found === value;
      },
      30_000,
    );
  }

  /** Removes all containers: what a test that fails leaves is not the next one's. */
  async removeContainers(): Promise<void> {
    const ids = (await this.docker(["ps", "--all", "--quiet"])).out.split("\n").filter(Boolean);
    if (ids.length > 0) await this.docker(["rm", "--force", "--volumes", ...ids]);
  }

  /** A command in the daemon's network namespace. */
  inNetwork(command: readonly string[]): Promise<Result> {
    const pid = readFileSync(join(this.#folder, "pid"), "utf8");
    return this.engine.exec(["nsenter", "--target", pid, "--net", ...command], {});
  }

  /** Records and cgroups of containers. */
  leftovers(): string[] {
    return cgroupsBelow(this.cgroup);
  }

  get isRunning(): boolean {
    return this.#daemon !== undefined;
  }

  /** Ends it, and everything that it started. */
  async stop(): Promise<void> {
    await this.#daemon?.stop();
    this.#daemon = undefined;
    for (const pid of processesOf(this.#folder)) process.kill(pid, "SIGKILL");
    await removeCgroups(this.cgroup);
  }
}
