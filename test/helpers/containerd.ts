/** containerd with sockets and directories of its own, and `ctr`, its client. */

import { existsSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { CallOptions, Engine, Result } from "./cli.ts";
import {
  cgroupsBelow,
  type Daemon,
  processesOf,
  RUNTIMES,
  removeCgroups,
  startDaemon,
  untilReady,
} from "./daemon.ts";
import { writeImageArchive } from "./image_archive.ts";
import { waitFor } from "./wait.ts";

/** The image that is there. */
export const IMAGE = "docker.io/library/busybox:test";

/** A containerd that runs. */
export class Containerd {
  /** Its namespace, which is also the parent of its containers' cgroups. */
  readonly namespace = `mydocker-test-${process.pid}`;
  readonly #folder: string;
  readonly #address: string;
  #daemon: Daemon | undefined;

  constructor(readonly engine: Engine) {
    this.#folder = engine.directory("containerd");
    this.#address = join(this.#folder, "containerd.sock");
  }

  /** Starts it and imports the image. */
  async start(): Promise<void> {
    const config = join(this.#folder, "config.toml");
    writeFileSync(
      config,
      [
        "version = 2",
        `root = "${this.#folder}/root"`,
        `state = "${this.#folder}/state"`,
        'disabled_plugins = ["io.containerd.grpc.v1.cri"]',
        "[grpc]",
        `  address = "${this.#address}"`,
        "",
      ].join("\n"),
    );
    const daemon = startDaemon(this.engine, "containerd", ["containerd", "--config", config]);
    this.#daemon = daemon;
    await untilReady(daemon, async () => (await this.ctr(["version"])).exitCode === 0);
    const file = join(this.#folder, "image.tar");
    writeImageArchive(file, IMAGE);
    const { exitCode, err } = await this.ctr(["image", "import", file]);
    if (exitCode !== 0) throw new Error(`ctr image import: ${err}`);
  }

  /** `ctr ARGS…` to its end. */
  ctr(args: readonly string[], options: CallOptions = {}): Promise<Result> {
    return this.engine.exec(this.command(args), { timeout: 60_000, ...options });
  }

  /** The command line of `ctr ARGS…`. */
  command(args: readonly string[]): string[] {
    return ["ctr", "--address", this.#address, "--namespace", this.namespace, ...args];
  }

  /** Options of `ctr run` for a runtime. */
  runtime(name: keyof typeof RUNTIMES): string[] {
    return [
      ...["--runtime", "io.containerd.runc.v2", "--runc-binary", RUNTIMES[name]],
      ...["--runc-root", this.runtimeRoot(name), "--fifo-dir", this.engine.directory("fifo")],
    ];
  }

  /** Where a runtime keeps its containers. */
  runtimeRoot(name: keyof typeof RUNTIMES): string {
    return join(this.#folder, name);
  }

  /** The status of a task as `ctr task ls` has it; undefined when there is none. */
  async status(id: string): Promise<string | undefined> {
    const { out } = await this.ctr(["task", "ls"]);
    const row = out.split("\n").map((line) => line.split(/\s+/));
    return row.find(([name]) => name === id)?.[2];
  }

  /** Waits for a status of a task. */
  async untilStatus(id: string, status: string): Promise<void> {
    await waitFor(`${id} to be ${status}`, async () => (await this.status(id)) === status);
  }

  /** The pid of a task's first process. */
  async pid(id: string): Promise<number> {
    const { out } = await this.ctr(["task", "ls"]);
    const row = out.split("\n").map((line) => line.split(/\s+/));
    return Number(row.find(([name]) => name === id)?.[1]);
  }

  /** Kills and removes a container and its task, if they are there. */
  async remove(id: string): Promise<void> {
    await this.ctr(["task", "rm", "--force", id]);
    await this.ctr(["container", "rm", id]);
    await this.ctr(["snapshot", "rm", id]);
  }

  /** What a runtime and its containers left: cgroups, records, processes. */
  leftovers(): string[] {
    const records = (["mydocker", "runc"] as const).flatMap((name) => {
      const root = join(this.runtimeRoot(name), this.namespace);
      return existsSync(root) ? readdirSync(root).map((id) => `${name}: ${id}`) : [];
    });
    return [...records, ...cgroupsBelow(this.namespace)];
  }

  /** Ends it and everything that it started. */
  async stop(): Promise<void> {
    await this.#daemon?.stop();
    for (const pid of processesOf(this.#folder)) process.kill(pid, "SIGKILL");
    await removeCgroups(this.namespace);
  }
}
