/** Podman with directories of its own, on an OCI runtime. */

import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { CallOptions, Engine, Result } from "./cli.ts";
import { cgroupsBelow, processesOf } from "./daemon.ts";
import { writeImageArchive } from "./image_archive.ts";
import type { Requirement } from "./requires.ts";
import { spawnOnTerminal, type TerminalSession } from "./terminal.ts";
import { waitFor } from "./wait.ts";

/** The image that is there. */
export const IMAGE = "localhost/busybox:test";
/** The image of a pod's first container, which does nothing. */
const PAUSE = "localhost/pause:test";
/** Where Podman puts its cgroups; it leaves the empty ones. */
const CGROUPS = "libpod_parent";

/** What a call gave: its exit code, and its output with what differs by nature taken out. */
export interface Outcome {
  readonly exitCode: number | null;
  readonly out: string;
  readonly err: string;
}

/** `podman` with `--root`, `--runroot`, `--tmpdir` and `--runtime`. */
export class Podman {
  readonly #folder: string;
  readonly #env: Readonly<Record<string, string>>;
  readonly #cgroupsBefore = podmansCgroups();
  #started = false;

  /** What it calls: the OCI runtime, with a `--root` of its own. */
  readonly runtime: string;

  /** @param runtime path of the OCI runtime */
  constructor(
    readonly engine: Engine,
    readonly name: string,
    runtime: string,
  ) {
    // Podman takes no path of its run directory that is longer than 50 bytes.
    this.#folder = mkdtempSync(join(tmpdir(), "mydocker-podman-"));
    this.runtime = join(this.#folder, "oci");
    const script = `#!/bin/sh\nexec '${runtime}' --root '${this.#folder}/records' "$@"\n`;
    writeFileSync(this.runtime, script, { mode: 0o755 });
    this.#env = {
      CONTAINERS_CONF: join(this.#folder, "containers.conf"),
      CONTAINERS_REGISTRIES_CONF: join(this.#folder, "registries.conf"),
      TMPDIR: this.#folder,
    };
  }

  /** Writes its configuration and makes the images. */
  async start(): Promise<void> {
    this.#started = true;
    writeFileSync(
      this.#env["CONTAINERS_CONF"] as string,
      [
        "[containers]",
        // Its own default is more than a process may have that lacks CAP_SYS_RESOURCE.
        'default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]',
        "[engine]",
        'events_logger = "file"',
        'lock_type = "file"',
        `infra_image = "${PAUSE}"`,
        "",
      ].join("\n"),
    );
    writeFileSync(this.#env["CONTAINERS_REGISTRIES_CONF"] as string, "");
    const file = join(this.#folder, "image.tar");
    writeImageArchive(file, IMAGE);
    await this.succeed(["load", "--input", file]);
    rmSync(file);
    await this.succeed(["create", "--name", "pause", IMAGE]);
    const cmd = 'CMD ["sh", "-c", "trap exit TERM; sleep 100000 & wait"]';
    await this.succeed(["commit", "--quiet", "--change", cmd, "pause", PAUSE]);
    await this.succeed(["rm", "pause"]);
  }

  /** `podman ARGS…` to its end. */
  call(args: readonly string[], options: CallOptions = {}): Promise<Result> {
    const env = { ...this.#env, ...options.env };
    const defaults = { timeout: 60_000, cwd: this.#folder };
    return this.engine.exec(this.command(args), { ...defaults, ...options, env });
  }

  /** As {@link call}, to compare. */
  async outcome(args: readonly string[], options: CallOptions = {}): Promise<Outcome> {
    const { exitCode, out, err } = await this.call(args, options);
    return { exitCode, out: this.#plain(out), err: this.#plain(err) };
  }

  /** As {@link call}. @returns its output @throws {Error} when it fails */
  async succeed(args: readonly string[], options: CallOptions = {}): Promise<string> {
    const { exitCode, out, err } = await this.call(args, options);
    if (exitCode !== 0) throw new Error(`${this.name}: podman ${args.join(" ")}: ${err}`);
    return out;
  }

  /** `podman ARGS…` on a terminal, as a person has it. */
  onTerminal(args: readonly string[]): TerminalSession {
    const env = Object.entries(this.#env).map(([name, value]) => `${name}=${value}`);
    return spawnOnTerminal(this.engine, ["env", ...env, ...this.command(args)]);
  }

  /** The command line of `podman ARGS…`. */
  command(args: readonly string[]): string[] {
    const at = (name: string) => join(this.#folder, name);
    return [
      ...["podman", "--root", at("root"), "--runroot", at("run"), "--tmpdir", at("tmp")],
      ...["--network-config-dir", at("networks"), "--storage-driver", "vfs"],
      ...["--cgroup-manager", "cgroupfs", "--runtime", this.runtime, ...args],
    ];
  }

  /** What `podman inspect` has of a container, by a Go template. */
  async inspect(name: string, template: string): Promise<string> {
    return this.succeed(["inspect", "--format", template, name]);
  }

  /** Waits until a container's log matches. @returns the log */
  async untilLogged(name: string, pattern: RegExp): Promise<string> {
    return waitFor(`${pattern} in the log of ${name}`, async () => {
      const { out } = await this.call(["logs", name]);
      return pattern.test(out) ? out : undefined;
    });
  }

  /** What the runtime has on record. */
  records(): string[] {
    const root = join(this.#folder, "records");
    return existsSync(root) ? readdirSync(root) : [];
  }

  /** Removes all containers and pods, and what Podman leaves of itself. */
  async stop(): Promise<void> {
    if (this.#started) await this.#removeContainers();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  async #removeContainers(): Promise<void> {
    await this.call(["pod", "rm", "--all", "--force", "--time", "0"]);
    await this.call(["rm", "--all", "--force", "--time", "0"]);
    // conmon starts a clean-up of Podman's when a container has ended.
    const ended = waitFor(
      "Podman's processes to end",
      () => processesOf(this.#folder).length === 0,
    );
    await ended.catch(() => {
      for (const pid of processesOf(this.#folder)) process.kill(pid, "SIGKILL");
    });
    removeEmptyCgroups(this.#cgroupsBefore);
  }

  #plain(text: string): string {
    return text
      .replaceAll(this.runtime, "RUNTIME")
      .replace(/\b[0-9a-f]{64}\b/g, "ID")
      .replace(/\b[0-9a-f]{12}\b/g, "SHORT-ID")
      .replace(/time="[^"]*"/g, "TIME")
      .trimEnd();
  }
}

/** All of Podman's cgroups in all hierarchies, the parents last. */
const podmansCgroups = (): string[] => [
  ...cgroupsBelow(CGROUPS),
  ...cgroupsBelow(".").filter((path) => path.endsWith(`/${CGROUPS}`)),
];

/**
 * Removes the cgroups that Podman leaves: that of conmon, and with runc those of pods in hierarchies
 * that Podman does not know. What others use at this moment is busy, or was there before.
 */
function removeEmptyCgroups(before: readonly string[]): void {
  for (const path of podmansCgroups().filter((path) => !before.includes(path))) {
    try {
      rmdirSync(path);
    } catch {
      // in use, or gone
    }
  }
}

/**
 * Whether crun runs containers here, by its own words: it refuses a machine with controllers on both
 * versions of cgroups.
 */
export function crunWorks(engine: Engine): Requirement {
  if (Bun.which("crun") === null) return "crun is not installed";
  const bundle = engine.directory("crun-probe");
  mkdirSync(join(bundle, "rootfs"), { recursive: true });
  const config = {
    ociVersion: "1.0.0",
    process: { user: { uid: 0, gid: 0 }, args: ["/nowhere"], cwd: "/" },
    root: { path: "rootfs" },
    mounts: [],
    linux: { namespaces: [{ type: "mount" }, { type: "pid" }] },
  };
  writeFileSync(join(bundle, "config.json"), JSON.stringify(config));
  const id = `mydocker-probe-${process.pid}`;
  const { stderr } = Bun.spawnSync(
    ["crun", "--root", join(bundle, "state"), "run", "--bundle", bundle, id],
    { stdin: "ignore", stdout: "ignore" },
  );
  const said = stderr.toString().trim().split("\n").at(-1) ?? "";
  return said.includes("/nowhere") ? undefined : `crun: ${said}`;
}
