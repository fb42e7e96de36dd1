/** runc and crun, from Debian's packages, with a bundle of the default image's root file system. */

import { cpSync, existsSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { output, tryOutput } from "../../build/command.ts";
import { MS, mount, umount } from "../../src/linux/mount.ts";
import { CLONE, unshare } from "../../src/linux/process.ts";
import type { Session } from "./session.ts";

/** An OCI runtime to compare with. */
export interface Peer {
  readonly name: string;
  readonly bundle: string;
  /** The program, and the options before its commands. */
  readonly base: readonly string[];
  /** The command line that runs the bundle once, under a new id. */
  readonly command: () => string[];
  /** A command line under a new id, which is to be its last word. */
  readonly call: (...args: readonly string[]) => { argv: string[]; id: string };
  /** Another runtime with a bundle of its own. */
  readonly like: (name: string, program: string) => Peer;
}

/** The peers that can be had, and why the others cannot. */
export interface Peers {
  readonly found: readonly Peer[];
  readonly skipped: readonly string[];
}

/** The parent of the peers' cgroups. */
const CGROUP = "mydocker-bench";

/**
 * Makes a bundle for each peer. From then on this process is in a mount namespace of its own.
 * @param layer the unpacked root file system
 */
export function preparePeers(session: Session, layer: string): Peers {
  const skipped: string[] = [];
  const names = ["crun", "runc"].filter((name) => {
    const why = install(name);
    if (why !== undefined) skipped.push(`${name}: ${why}`);
    return why === undefined;
  });
  const crunWorks = names.includes("crun") && tryToShowControllers(session, skipped);
  const usable = names.filter((name) => name !== "crun" || crunWorks);
  session.undo.defer(removeCgroups);
  return { found: usable.map((name) => preparePeer(session, name, layer)), skipped };
}

/** The name and version of a program, as it says it; undefined when it is missing. */
export function versionOf(name: string): string | undefined {
  const version = /version (\S+)/.exec(tryOutput([name, "--version"]) ?? "")?.[1];
  return version === undefined ? undefined : `${name} ${version}`;
}

/** @returns why it cannot be had */
function install(name: string): string | undefined {
  if (Bun.which(name) !== null) return undefined;
  if (Bun.which("apt-get") === null) return "it is not installed, and there is no apt-get";
  console.error(`bench: installing ${name}`);
  const env = { DEBIAN_FRONTEND: "noninteractive" };
  tryOutput(["apt-get", "-qq", "update"], { env });
  tryOutput(["apt-get", "-qq", "-y", "--no-install-recommends", "install", name], { env });
  return Bun.which(name) === null ? "apt-get could not install it" : undefined;
}

/** @returns false, with the reason among `skipped`, when crun would refuse this machine's cgroups */
function tryToShowControllers(session: Session, skipped: string[]): boolean {
  try {
    showAllControllers(session);
    return true;
  } catch (error) {
    skipped.push(`crun: ${error instanceof Error ? error.message : error}`);
    return false;
  }
}

/**
 * crun 1.8 refuses a hybrid layout in which hugetlb is the only controller of version 2. Mounted as
 * version 1 it is none of that one's; in a mount namespace of our own, which ends with us.
 */
function showAllControllers(session: Session): void {
  const v2 = "/sys/fs/cgroup/unified/cgroup.controllers";
  const hidden = existsSync(v2) && readFileSync(v2, "utf8").includes("hugetlb");
  const shown = /^\S+ \S+ cgroup \S*\bhugetlb\b/m.test(readFileSync("/proc/self/mounts", "utf8"));
  const exists = /^hugetlb\t[^0]/m.test(readFileSync("/proc/cgroups", "utf8"));
  if (shown || !(hidden || (exists && existsSync(v2)))) return;
  unshare(CLONE.CLONE_NEWNS);
  mount(null, "/", null, MS.MS_REC | MS.MS_PRIVATE);
  const directory = session.directory("hugetlb");
  mount("hugetlb", directory, "cgroup", 0, "hugetlb");
  session.undo.defer(() => umount(directory));
}

function preparePeer(session: Session, name: string, layer: string): Peer {
  const bundle = makeBundle(session, name, layer);
  output([name, "spec"], { cwd: bundle });
  const file = join(bundle, "config.json");
  const config = JSON.parse(readFileSync(file, "utf8"));
  config.process.terminal = false;
  config.process.args = ["true"];
  writeFileSync(file, JSON.stringify(config));
  return peerOf(session, { name, program: Bun.which(name) as string, bundle, layer });
}

function makeBundle(session: Session, name: string, layer: string): string {
  const bundle = session.directory(`bundle-${name}`);
  cpSync(layer, join(bundle, "rootfs"), { recursive: true, verbatimSymlinks: true });
  return bundle;
}

interface PeerParts {
  readonly name: string;
  readonly program: string;
  readonly bundle: string;
  readonly layer: string;
}

function peerOf(session: Session, { name, program, bundle, layer }: PeerParts): Peer {
  const base = [program, "--root", session.directory(`state-${name}`)];
  const file = join(bundle, "config.json");
  let calls = 0;
  const call = (...args: readonly string[]) => {
    const id = `${CGROUP}-${process.pid}-${name}-${calls++}`;
    const config = JSON.parse(readFileSync(file, "utf8"));
    config.linux.cgroupsPath = `/${CGROUP}/${id}`;
    writeFileSync(file, JSON.stringify(config));
    return { argv: [...base, ...args], id };
  };
  return {
    name,
    bundle,
    base,
    call,
    command: () => {
      const { argv, id } = call("run", "--bundle", bundle);
      return [...argv, id];
    },
    like: (other, otherProgram) => {
      const copy = makeBundle(session, other, layer);
      cpSync(file, join(copy, "config.json"));
      return peerOf(session, { name: other, program: otherProgram, bundle: copy, layer });
    },
  };
}

/** The parent of the peers' cgroups, and what a killed peer has left in it. */
function removeCgroups(): void {
  const base = "/sys/fs/cgroup";
  for (const folder of [base, ...readdirSync(base).map((name) => join(base, name))]) {
    const own = join(folder, CGROUP);
    if (!existsSync(own)) continue;
    const inner = readdirSync(own, { withFileTypes: true }).filter((entry) => entry.isDirectory());
    for (const { name } of inner) rmdirSync(join(own, name));
    rmdirSync(own);
  }
}
