/** One cgroup in all the hierarchies that it needs, the same for both versions. cgroups(7). */
import { isErrno } from "../ffi/call.ts";
import { rmdirIfEmpty, statIfExists, writeControl } from "../linux/file.ts";
import { log } from "../log.ts";
import { type CgroupStats, type CgroupWrite, type Controller, isConcerned } from "./controller.ts";
import { V1_CONTROLLERS, V2_CONTROLLERS } from "./controllers.ts";
import {
  awaitEmpty,
  cgroupTree,
  killProcess,
  moveAll,
  processesIn,
  reader,
  removeCgroupDirectory,
  writeLimits,
} from "./directory.ts";
import { CgroupError, missingController } from "./error.ts";
import { type CgroupLayout, cgroupRoot } from "./layout.ts";
import type { CgroupLocation } from "./location.ts";
import { candidates, type Member, makeWithParents } from "./members.ts";
import type { Resources } from "./resources.ts";
import { freezeV1, isFrozenV1, thawV1 } from "./v1/freezer.ts";
import { oomKills as oomKillsV1 } from "./v1/memory.ts";
import { freezeV2, isFrozenV2, thawV2 } from "./v2/freezer.ts";
import { oomKills as oomKillsV2 } from "./v2/memory.ts";
import { refuseNetwork } from "./v2/network.ts";
import { planUnified } from "./v2/unified.ts";

/** Told of writes into a directory before they happen. */
export type BeforeWrite = (directory: string, writes: readonly CgroupWrite[]) => void;

/** A cgroup, as far as it exists. */
export class Cgroup {
  readonly #made: string[] = [];

  /** @param members in all hierarchies that can have it, whether or not they do */
  constructor(
    readonly layout: CgroupLayout,
    /** below the mount point of the first hierarchy, as a name for it */
    readonly path: string,
    readonly candidates: readonly Member[],
    public members: readonly Member[],
  ) {}

  /** Files into which a process writes "0" to join. */
  get joinFiles(): string[] {
    // `tasks` moves the writing thread alone, which the kernel does without the lock over all forks
    // that moving a whole process by `cgroup.procs` takes; whoever joins has one thread only.
    return this.members.map(({ hierarchy, directory }) =>
      hierarchy.version === 1 ? `${directory}/tasks` : `${directory}/cgroup.procs`,
    );
  }

  /** v2: its directory. */
  get v2Directory(): string | undefined {
    return this.members.find(({ hierarchy }) => hierarchy.version === 2)?.directory;
  }

  /** Makes what is missing in these hierarchies. */
  make(members: readonly Member[]): void {
    for (const member of members) {
      cgroupRoot(member.hierarchy);
      makeWithParents(member, member.directory, (directory) => this.#made.push(directory));
    }
    this.members = [...this.members, ...members];
  }

  /** Makes it where it was planned; what was made is removed again when that fails. @throws {CgroupError} */
  create(): void {
    const planned = this.members;
    this.members = [];
    try {
      this.make(planned);
    } catch (error) {
      for (const directory of this.#made.splice(0).reverse()) removeCgroupDirectory(directory);
      throw error;
    }
  }

  /**
   * Makes it before its first process is made, where that one can be made in it: on v2. On v1 it costs
   * less to make it while that process is already at work.
   * @returns its directory; undefined where {@link create} is to be called later
   * @throws {CgroupError}
   */
  createFirst(): string | undefined {
    if (this.layout.mode !== "v2") return undefined;
    this.create();
    return this.v2Directory;
  }

  /**
   * Writes the limits. All are looked at before the first is written, but the kernel may refuse one
   * after others: whoever has just made the cgroup removes it then, {@link updateCgroup} sets back.
   * @param beforeWrite told what is about to be written
   * @throws {CgroupError} naming controller, file and value
   */
  apply(resources: Resources, beforeWrite?: BeforeWrite): void {
    if (Object.keys(resources).length === 0) return;
    if (resources.memory?.kernel !== undefined || resources.memory?.kernelTCP !== undefined)
      log.warn("limits of kernel memory are obsolete since Linux 5.4 and are ignored");
    this.#refuseMissing(resources);
    this.#addHierarchiesFor(resources);
    const planned = this.members.flatMap(({ directory, controllers }) => {
      const read = reader(directory);
      const isNew = this.#made.includes(directory);
      return controllers.map((controller) => {
        const writes = controller.plan(resources, read, isNew);
        return { directory, controller, writes };
      });
    });
    const unified = planUnified(resources);
    const v2 = this.v2Directory;
    const [first] = unified;
    if (first !== undefined && v2 === undefined)
      throw missingController(first, "without cgroup v2");
    for (const { directory, writes } of planned) {
      if (writes.length === 0) continue;
      beforeWrite?.(directory, writes);
      writeLimits(directory, writes);
    }
    if (v2 !== undefined && first !== undefined) {
      beforeWrite?.(v2, unified);
      writeLimits(v2, unified);
    }
    // Last: what replaces a program cannot be set back.
    for (const { directory, controller } of planned) controller.attach?.(directory, resources);
  }

  /** @throws {CgroupError} for a limit whose controller is mounted nowhere */
  #refuseMissing(resources: Resources): void {
    if (this.layout.mode === "v2") refuseNetwork(resources);
    const known = new Set(this.candidates.flatMap(({ controllers }) => controllers));
    const all = this.layout.mode === "v2" ? V2_CONTROLLERS : V1_CONTROLLERS;
    for (const controller of all) {
      if (known.has(controller) || !isConcerned(controller, resources)) continue;
      const [write] = controller.plan(resources, () => undefined);
      if (write !== undefined) throw missingController(write, `in ${this.layout.mode} layout`);
    }
  }

  /** Hierarchies that are not for every container, but that these limits need. */
  #addHierarchiesFor(resources: Resources): void {
    const added = this.candidates.filter(
      (member) =>
        !this.members.includes(member) &&
        member.controllers.some((controller) => isConcerned(controller, resources)),
    );
    if (added.length === 0) return;
    const running = this.#directories();
    this.make(added);
    for (const { directory } of added) moveAll(running, directory);
  }

  /** All processes in it and in cgroups made inside of it. */
  pids(): number[] {
    const directory = this.#directories()[0];
    if (directory === undefined) return [];
    return processesIn(cgroupTree(directory)).filter((pid) => pid > 0);
  }

  /** Directories in which processes are looked for: v2, else the freezer's, else any. */
  #directories(): string[] {
    const first = (member: Member) =>
      member.hierarchy.version === 2 || member.controllers.some(({ name }) => name === "freezer");
    return this.members
      .toSorted((a, b) => Number(first(b)) - Number(first(a)))
      .map(({ directory }) => directory);
  }

  /** Kills everything in it, in all hierarchies, and waits until it is gone. @throws {CgroupError} */
  kill(): void {
    // One hierarchy is enough as a rule; a privileged container may have moved a process out of one.
    for (const directory of this.#directories()) {
      if (processesIn([directory]).length === 0 && !hasInner(directory)) continue;
      const tree = cgroupTree(directory);
      if (killAtOnce(directory)) {
        awaitEmpty(tree, () => undefined);
        continue;
      }
      // SIGKILL is delivered to a frozen process when it is thawed; meanwhile it cannot fork.
      const frozen = this.#tryFreeze();
      for (const pid of processesIn(tree)) killProcess(pid);
      if (frozen) this.thaw();
      awaitEmpty(tree, () => {
        for (const pid of processesIn(tree)) killProcess(pid);
      });
    }
  }

  #tryFreeze(): boolean {
    try {
      this.freeze(200);
      return true;
    } catch (error) {
      // It does not freeze, or has no directory there: then we chase them.
      if (error instanceof CgroupError || isErrno(error, "ENOENT", "ENODEV")) return false;
      throw error;
    }
  }

  /** Kills everything in it and removes it from all hierarchies. Missing is fine. */
  remove(): void {
    // An empty one can be removed at once, which says most quickly that it is empty.
    const left = this.members.filter(({ directory }) => !rmdirIfEmpty(directory));
    // Another process may have added a hierarchy for a limit.
    const others = this.candidates.filter((candidate) => !this.members.includes(candidate));
    this.members = [...left, ...existing(others)];
    if (this.members.length === 0) return;
    this.kill();
    for (const { directory } of this.members) removeCgroupDirectory(directory);
    this.members = [];
  }

  /**
   * Looks whether somebody else lives where it is to be made. An empty one may be taken.
   * @throws {CgroupError} when there are processes, or it is frozen, so that init could not go on
   */
  refuseIfUsed(): void {
    for (const { hierarchy, directory } of existing(this.candidates)) {
      const { length } = processesIn(cgroupTree(directory));
      const isFrozen = isFrozenV1(directory) || (hierarchy.version === 2 && isFrozenV2(directory));
      if (length === 0 && !isFrozen) continue;
      const why = length === 0 ? "is frozen" : `is not empty: ${length} process(es) in it`;
      throw new CgroupError(`cgroup ${directory} ${why}`, {
        controller: hierarchy.controllers[0] ?? "cgroup",
        hint: "give the container a linux.cgroupsPath of its own",
      });
    }
  }

  exists(): boolean {
    return this.members.some(({ directory }) => statIfExists(directory) !== undefined);
  }

  /** @param patience milliseconds. @throws {CgroupError} when it does not stop in that time, or cannot */
  freeze(patience?: number): void {
    const v2 = this.v2Directory;
    const v1 = this.#freezer();
    if (v2 !== undefined) freezeV2(v2, patience);
    else if (v1 !== undefined) freezeV1(v1, patience);
    else throw new CgroupError("cgroup freezer: no such controller", { controller: "freezer" });
  }

  thaw(): void {
    const v2 = this.v2Directory;
    const v1 = this.#freezer();
    if (v2 !== undefined) thawV2(v2);
    else if (v1 !== undefined) thawV1(v1);
  }

  /** Whether everything in it is stopped. */
  frozen(): boolean {
    const v2 = this.v2Directory;
    const v1 = this.#freezer();
    if (v2 !== undefined) return isFrozenV2(v2);
    return v1 !== undefined && isFrozenV1(v1);
  }

  /** Moves a process into it. */
  add(pid: number): void {
    for (const { directory } of this.members)
      writeControl(`${directory}/cgroup.procs`, String(pid));
  }

  #freezer(): string | undefined {
    return this.members.find(({ controllers }) =>
      controllers.some(({ name }) => name === "freezer"),
    )?.directory;
  }

  /** What it uses, and its limits. */
  stats(): CgroupStats {
    const stats: CgroupStats[] = this.members.flatMap(({ directory, controllers }) =>
      controllers.map((controller) => controller.stats?.(reader(directory)) ?? {}),
    );
    return Object.assign({}, ...stats);
  }

  /** Whether the kernel killed a process in it, or in a cgroup made inside of it, for want of memory. */
  oomKilled(): boolean {
    const counts = ({ controllers }: Member) => controllers.some(({ name }) => name === "memory");
    // Another process may have added it, for a limit.
    const member = this.members.find(counts) ?? existing(this.candidates.filter(counts))[0];
    if (member === undefined) return false;
    const { hierarchy, directory } = member;
    if (hierarchy.version === 2) return oomKillsV2(reader(directory)) > 0;
    // v1 counts in the cgroup of the process that was killed, and nowhere above it.
    const tree = hasInner(directory) ? cgroupTree(directory) : [directory];
    return tree.some((each) => oomKillsV1(reader(each)) > 0);
  }
}

/** cgroup.kill, since Linux 5.14. @returns false when there is no such file */
function killAtOnce(directory: string): boolean {
  try {
    writeControl(`${directory}/cgroup.kill`, "1");
    return true;
  } catch (error) {
    if (isErrno(error, "ENOENT", "EACCES", "EPERM", "EOPNOTSUPP")) return false;
    throw error;
  }
}

/** A directory has a link from each directory in it. */
function hasInner(directory: string): boolean {
  return (statIfExists(directory)?.nlink ?? 2) > 2;
}

/**
 * A cgroup that has yet to be made, for a container with these limits: it is known where it will be.
 * @param location such as `/mydocker/ID`, or what {@link locateCgroup} says
 * @param figures also in hierarchies that only its figures need: engines read those from wherever
 *   /proc/PID/cgroup says, and would show the host's
 * @throws {CgroupError} for a path that is none, and limits that cannot be
 */
export function planCgroup(
  layout: CgroupLayout,
  location: CgroupLocation,
  resources: Resources,
  { figures = false } = {},
): Cgroup {
  const all = candidates(layout, location);
  const limited = Object.keys(resources).length > 0;
  const isNeeded = (controller: Controller) =>
    controller.always ||
    (figures && controller.counts === true) ||
    (limited && isConcerned(controller, resources));
  const needed = all.filter(({ controllers }) => controllers.some(isNeeded));
  return new Cgroup(layout, pathOf(all), all, needed);
}

/**
 * None at all: processes stay where they are.
 * @throws {CgroupError} for limits, which there would be nothing to have
 */
export function planNone(layout: CgroupLayout, resources: Resources): Cgroup {
  const none = new Cgroup(layout, "", [], []);
  const { devices: _, ...limits } = resources;
  try {
    none.apply(limits);
  } catch (error) {
    if (!(error instanceof CgroupError)) throw error;
    const { controller } = error;
    const what = `linux.resources: a limit of ${controller} needs a cgroup`;
    const hint = "the cgroup manager is disabled";
    throw new CgroupError(what, { controller, hint, cause: error });
  }
  return none;
}

const pathOf = ([first]: readonly Member[]): string =>
  first?.directory.slice(first.hierarchy.mountPoint.length) ?? "/";

/**
 * Makes a cgroup in the hierarchies that every container gets; limits bring the others
 * ({@link Cgroup.apply}). What was made is removed again when this fails.
 * @throws {CgroupError}
 */
export function createCgroup(layout: CgroupLayout, location: CgroupLocation): Cgroup {
  const cgroup = planCgroup(layout, location, {});
  cgroup.create();
  return cgroup;
}

/** A cgroup that may exist: what is there can be joined, looked at, killed and removed. */
export function openCgroup(layout: CgroupLayout, location: CgroupLocation): Cgroup {
  const all = candidates(layout, location);
  return new Cgroup(layout, pathOf(all), all, existing(all));
}

/** Those whose directory is there. */
export function existing(members: readonly Member[]): Member[] {
  return members.filter(({ directory }) => statIfExists(directory) !== undefined);
}
