/** What of the machine a container changes, before and after. */

import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { prctl } from "../../src/linux/process.ts";

// linux/prctl.h
const PR_SET_CHILD_SUBREAPER = 36;

/** Lists of things by kind. */
export type Snapshot = Readonly<Record<string, readonly string[]>>;

/** Where an engine keeps its state. */
export interface StateFolders {
  readonly root: string;
  readonly runFolder: string;
}

// Orphans become children of this process, so that what is left running is found among its descendants.
prctl(PR_SET_CHILD_SUBREAPER, 1);

/** The machine as it is now, as far as an engine may have changed it. */
export function takeSnapshot(folders: StateFolders): Snapshot {
  return {
    mounts: mounts(),
    cgroups: cgroups(),
    links: readdirSync("/sys/class/net"),
    processes: descendants(process.pid),
    files: [...files(folders.root), ...files(folders.runFolder)],
    firewall: firewallTables(),
  };
}

const isAnothersEnd = (kind: string, thing: string): boolean =>
  kind === "cgroups" ||
  kind === "processes" ||
  (kind === "mounts" && /^\/tmp\/|\/node_modules\/\.cache\//.test(thing));

/**
 * What is there now and was not before, or the other way round, as `kind: + thing`. A cgroup or
 * process that is gone was somebody else's, and its end; so was a mount in a temporary directory.
 */
export function findLeaks(before: Snapshot, after: Snapshot): string[] {
  return Object.keys(after).flatMap((kind) => {
    const [old, now] = [new Set(before[kind] ?? []), new Set(after[kind] ?? [])];
    return [
      ...[...now].filter((thing) => !old.has(thing)).map((thing) => `${kind}: + ${thing}`),
      ...[...old]
        .filter((thing) => !now.has(thing) && !isAnothersEnd(kind, thing))
        .map((thing) => `${kind}: - ${thing}`),
    ];
  });
}

/** Mount point, type and source of each mount of the host's namespace (proc_pid_mountinfo(5)). */
function mounts(): string[] {
  const lines = readFileSync("/proc/self/mountinfo", "utf8").trimEnd().split("\n");
  return lines.map((line) => {
    const [left, right] = line.split(" - ") as [string, string];
    return `${left.split(" ")[4]} ${right.split(" ").slice(0, 2).join(" ")}`;
  });
}

/**
 * Directories of our cgroups in all hierarchies, the empty parent aside, and those in which other
 * people's containers run: this machine may have some.
 */
function cgroups(): string[] {
  const base = "/sys/fs/cgroup";
  const hierarchies = [base, ...readdirSync(base).map((name) => join(base, name))];
  const own = new Set(descendants(process.pid).map((text) => text.split(" ")[0]));
  const isOthers = (folder: string) => {
    const pids = readLines(join(folder, "cgroup.procs"));
    return pids.length > 0 && !pids.some((pid) => own.has(pid));
  };
  return hierarchies.flatMap((folder) => {
    const parent = join(folder, "mydocker");
    if (!existsSync(parent)) return [];
    return readdirSync(parent, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map((entry) => join(parent, entry.name))
      .filter((path) => !isOthers(path));
  });
}

/** The lines of a file; none if it is gone. */
function readLines(path: string): string[] {
  try {
    return readFileSync(path, "utf8").split("\n").filter(Boolean);
  } catch {
    return [];
  }
}

/** Processes below one, zombies aside: pid and name. */
export function descendants(ancestor: number): string[] {
  const parents = new Map<number, { parent: number; name: string; state: string }>();
  for (const entry of readdirSync("/proc")) {
    if (!/^\d+$/.test(entry)) continue;
    const stat = readStat(Number(entry));
    if (stat !== undefined) parents.set(Number(entry), stat);
  }
  const isBelow = (pid: number): boolean => {
    for (let at = parents.get(pid); at !== undefined; at = parents.get(at.parent)) {
      if (at.parent === ancestor) return true;
    }
    return false;
  };
  return [...parents]
    .filter(([pid, { state }]) => state !== "Z" && isBelow(pid))
    .map(([pid, { name }]) => `${pid} ${name}`);
}

/** Parent, name and state of a process (proc_pid_stat(5)); undefined when it is gone. */
export function readStat(pid: number): { parent: number; name: string; state: string } | undefined {
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/stat`, "latin1");
  } catch {
    return undefined;
  }
  const [open, close] = [text.indexOf("("), text.lastIndexOf(")")];
  const [state, parent] = text.slice(close + 2).split(" ");
  return { parent: Number(parent), name: text.slice(open + 1, close), state: state ?? "?" };
}

/** All paths below a folder, but not inside the images' own files. */
function files(folder: string): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    const goesDown = entry.isDirectory() && entry.name !== "diff" && entry.name !== "merged";
    return goesDown ? [path, ...files(path)] : [path];
  });
}

/** Names of nftables' tables; none without nft. */
function firewallTables(): string[] {
  if (Bun.which("nft") === null) return [];
  const { stdout } = Bun.spawnSync(["nft", "list", "tables"], { stderr: "ignore" });
  return stdout.toString().trimEnd().split("\n").filter(Boolean);
}
