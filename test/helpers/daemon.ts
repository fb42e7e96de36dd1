/** Daemons of other projects that call the OCI runtime, started and ended by the tests. */

import { closeSync, openSync, readdirSync, readFileSync, rmdirSync } from "node:fs";
import { basename, join } from "node:path";
import type { Engine } from "./cli.ts";
import { EXECUTABLE } from "./cli.ts";
import { readStat } from "./leaks.ts";
import { waitFor } from "./wait.ts";

/** The runtimes that are compared: what a client calls, and what its output is checked against. */
export const RUNTIMES = {
  mydocker: `${EXECUTABLE}-oci`,
  runc: Bun.which("runc") ?? "runc",
} as const;

/** The name of a runtime. */
export type RuntimeName = keyof typeof RUNTIMES;

/** A daemon that runs. */
export interface Daemon {
  readonly pid: number;
  /** Everything that it wrote. */
  log(): string;
  /** SIGTERM, and SIGKILL when that takes longer than it should. */
  stop(): Promise<void>;
}

/** What a daemon is started with. */
export interface DaemonOptions {
  /** Namespaces of its own besides the mount namespace, as options of unshare(1). */
  readonly namespaces?: readonly string[];
  /** A line of shell that is executed in these namespaces first. */
  readonly before?: string;
  readonly env?: Readonly<Record<string, string>>;
}

/**
 * Starts a daemon in a mount namespace of its own, with which its mounts vanish. Every cgroup
 * hierarchy of the kernel is mounted there: containerd gives up when one is not.
 */
export function startDaemon(
  engine: Engine,
  name: string,
  command: readonly string[],
  options: DaemonOptions = {},
): Daemon {
  const logFile = join(engine.folder, `${name}.log`);
  const mounts = unmountedHierarchies().map((controllers) => {
    const target = engine.directory(`cgroup/${controllers}`); // runc goes by the directory's name
    return `mount -t cgroup -o ${controllers} cgroup ${target}`;
  });
  // What it leaves in /run is nobody's.
  const script = ["mount -t tmpfs tmpfs /run", ...mounts, options.before ?? ":", 'exec "$@"'].join(
    " && ",
  );
  const fd = openSync(logFile, "a");
  const child = Bun.spawn(
    [
      ...["unshare", "--mount", "--propagation", "private", ...(options.namespaces ?? [])],
      ...["sh", "-c", script, "sh", ...command],
    ],
    {
      cwd: engine.folder,
      env: { PATH: engine.env["PATH"] ?? "", ...options.env },
      stdio: ["ignore", fd, fd],
    },
  );
  closeSync(fd);
  engine.track(child);
  return {
    pid: child.pid,
    log: () => readFileSync(logFile, "utf8"),
    async stop() {
      const timer = setTimeout(() => child.kill("SIGKILL"), 15_000);
      child.kill("SIGTERM");
      await child.exited;
      clearTimeout(timer);
    },
  };
}

/** Waits until a daemon answers. @throws {Error} with its log when it ended instead */
export async function untilReady(daemon: Daemon, isReady: () => Promise<boolean>): Promise<void> {
  await waitFor(
    () => `the daemon; it wrote: ${daemon.log()}`,
    async () => {
      if (readStat(daemon.pid)?.state !== "Z") return isReady();
      throw new Error(`the daemon has ended: ${daemon.log()}`);
    },
    30_000,
  );
}

/** Hierarchies of cgroup v1 that the kernel has and nobody has mounted here, by their controllers. */
function unmountedHierarchies(): string[] {
  const mounted = readFileSync("/proc/self/mountinfo", "utf8")
    .split("\n")
    .filter((line) => line.includes(" - cgroup "))
    .map((line) => line.slice(line.lastIndexOf(" ") + 1).split(","));
  return readFileSync("/proc/self/cgroup", "utf8")
    .trimEnd()
    .split("\n")
    .map((line) => line.split(":")[1] ?? "")
    .filter((controllers) => controllers !== "" && !controllers.startsWith("name="))
    .filter((controllers) =>
      mounted.every((options) => !options.includes(controllers.split(",")[0] ?? "")),
    );
}

/** Processes whose command line names a folder: what a daemon of it started and left running. */
export function processesOf(folder: string): number[] {
  return readdirSync("/proc")
    .filter((entry) => /^\d+$/.test(entry) && Number(entry) !== process.pid)
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, "latin1").includes(folder);
      } catch {
        return false; // gone
      }
    })
    .map(Number);
}

/** Removes a cgroup of ours with all that is in it from every hierarchy, and kills what runs there. */
export async function removeCgroups(path: string): Promise<void> {
  await waitFor(`the cgroups of ${path} to go`, () => {
    const inner = cgroupsBelow(path);
    const own = cgroupsBelow(".").filter((directory) => basename(directory) === path);
    for (const directory of [...inner, ...own]) {
      for (const pid of readFileSync(join(directory, "cgroup.procs"), "utf8").match(/\d+/g) ?? []) {
        process.kill(Number(pid), "SIGKILL");
      }
      try {
        rmdirSync(directory);
      } catch {
        return false; // what was killed takes its time to go
      }
    }
    return true;
  });
}

/** Directories below a path in any cgroup hierarchy. */
export function cgroupsBelow(path: string): string[] {
  const base = "/sys/fs/cgroup";
  return [base, ...readdirSync(base).map((name) => join(base, name))].flatMap((hierarchy) => {
    try {
      return readdirSync(join(hierarchy, path), { withFileTypes: true })
        .filter((entry) => entry.isDirectory())
        .map((entry) => join(hierarchy, path, entry.name));
    } catch {
      return [];
    }
  });
}
