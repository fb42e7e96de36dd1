/**
 * Volumes on disk:
 *
 *   <root>/volumes/<name>/volume.json   what it is; written once
 *   <root>/volumes/<name>/_data         what is in it
 *   <root>/volumes/<name>/fill          what it is being filled with (fill.ts); hardly ever there
 *   <root>/volumes/.tmp/<uuid>/         what is being made or removed (../staging/)
 *
 * A volume is there when its directory has been renamed into place, complete. Its directory is
 * locked (flock(2)) exclusively while it is filled or removed; whoever makes a container that uses
 * it writes that down first, and then locks the volume's directory shared for a moment, or makes it: so
 * of a removal and a creation at once, the removal finds the user, or the creation waits for it, finds
 * nothing and makes it anew.
 */
import { MydockerError, NotFoundError } from "../errors.ts";
import { isErrno } from "../ffi/call.ts";
import { whyDamaged } from "../linux/damage.ts";
import { readDirectory } from "../linux/directory.ts";
import { LOCK_EX, LOCK_NB, LOCK_SH } from "../linux/fd.ts";
import { ifExists, mkdir, readFile, rename, statIfExists } from "../linux/file.ts";
import { replaceFile, syncDirectory } from "../linux/replace_file.ts";
import { lockDirectory } from "../staging/locks.ts";
import { removeRemains, Staging } from "../staging/staging.ts";
import { commit, copyAside, type FillSource, moveIn } from "./fill.ts";
import {
  checkVolumeName,
  checkVolumeOptions,
  DamagedVolumeError,
  isVolumeName,
  parseVolume,
  type Volume,
} from "./volume.ts";

/** Volumes whose locks are held together: each takes a descriptor. */
const LOCKS_AT_ONCE = 64;

/** What a volume is made as. */
export type VolumeRequest = Pick<Volume, "name"> & Partial<Pick<Volume, "labels" | "options">>;

/** What is here. */
export interface VolumeListing {
  /** by name */
  readonly volumes: readonly Volume[];
  /** an error for each one that is damaged */
  readonly problems: readonly DamagedVolumeError[];
}

/** The volumes of one root directory. Reading needs no directory to be there yet. */
export class VolumeStore {
  readonly #volumes: string;
  readonly #staging: string;

  /** @param root mydocker's state directory, e.g. `/var/lib/mydocker` */
  constructor(root: string) {
    this.#volumes = `${root}/volumes`;
    this.#staging = `${this.#volumes}/.tmp`;
  }

  /** Where a volume is. */
  directory(name: string): string {
    return `${this.#volumes}/${name}`;
  }

  /** Where what is in it is. */
  data(name: string): string {
    return `${this.directory(name)}/_data`;
  }

  /** Names of all volumes, damaged ones too, sorted. */
  names(): string[] {
    return (ifExists(() => readDirectory(this.#volumes)) ?? []).filter(isVolumeName).sort();
  }

  /** @throws {DamagedVolumeError} @returns undefined when there is none */
  get(name: string): Volume | undefined {
    if (!isVolumeName(name)) return undefined;
    const path = `${this.directory(name)}/volume.json`;
    let why: string;
    let cause: unknown;
    try {
      const text = ifExists(() => readFile(path));
      if (text !== undefined) return parseVolume(JSON.parse(text), name);
      if (!this.isThere(name)) return undefined;
      why = "it is missing";
    } catch (error) {
      cause = error;
      why = whyDamaged(error);
    }
    throw new DamagedVolumeError(`${path} is damaged: ${why}`, {
      cause,
      hint: `\`mydocker volume rm -f ${name}\` removes that volume`,
    });
  }

  /** Whether there is anything of that name, damaged or not. */
  isThere(name: string): boolean {
    return isVolumeName(name) && statIfExists(this.directory(name)) !== undefined;
  }

  /** All volumes. A damaged one becomes a problem, and harms no other. */
  list(): VolumeListing {
    const volumes: Volume[] = [];
    const problems: DamagedVolumeError[] = [];
    for (const name of this.names()) {
      try {
        const volume = this.get(name);
        if (volume !== undefined) volumes.push(volume); // else it was removed since we looked
      } catch (error) {
        if (!(error instanceof DamagedVolumeError)) throw error;
        problems.push(error);
      }
    }
    return { volumes, problems };
  }

  /**
   * Makes a volume, durably, unless there is one of that name: of any number who do at once, one does.
   * One that is being removed is waited for, and made again.
   * @returns whether it was this call that made it
   * @throws {MydockerError} for what no volume can be
   */
  create({ name, labels = {}, options = {} }: VolumeRequest): boolean {
    checkVolumeName(name);
    checkVolumeOptions(options);
    for (;;) {
      using lock = lockDirectory(this.directory(name), LOCK_SH);
      if (lock !== undefined) return false;
      if (this.#make({ name, created: new Date().toISOString(), labels, options })) return true;
    }
  }

  /** @returns false when there is one by now */
  #make(volume: Volume): boolean {
    using staging = Staging.create(this.#staging);
    const made = `${staging.path}/new`;
    mkdir(made, 0o700);
    mkdir(`${made}/_data`, 0o755);
    replaceFile(`${made}/volume.json`, JSON.stringify(volume), { durable: true });
    try {
      rename(made, this.directory(volume.name));
    } catch (error) {
      if (isErrno(error, "EEXIST", "ENOTEMPTY")) return false;
      throw error;
    }
    syncDirectory(this.#volumes);
    return true;
  }

  /**
   * Fills a volume with what an image has at a place, if it is empty.
   * @param durable whether what is in it then is to survive a power failure
   * @throws {MydockerError} when there is no room for it; the volume is empty then
   */
  fill(name: string, source: FillSource, durable: boolean): void {
    if (this.#isFilled(name)) return;
    using staging = Staging.create(this.#staging);
    using lock = lockDirectory(this.directory(name), LOCK_EX);
    if (lock === undefined) return; // it was removed just now
    this.#finishFilling(name);
    if (!isEmpty(this.data(name))) return;
    const aside = `${staging.path}/new`;
    if (!copyAside(source, aside, durable)) return;
    commit(aside, this.#copy(name));
    this.#finishFilling(name);
  }

  #isFilled(name: string): boolean {
    return statIfExists(this.#copy(name)) === undefined && !isEmpty(this.data(name));
  }

  #copy(name: string): string {
    return `${this.directory(name)}/fill`;
  }

  #finishFilling(name: string): void {
    const copy = this.#copy(name);
    if (statIfExists(copy) !== undefined) moveIn(copy, this.data(name));
  }

  /**
   * Removes a volume.
   * @param usedBy says who uses it, asked when nobody can begin to any more
   * @param force it may be missing, or damaged
   * @returns whether there was one
   * @throws {VolumeInUseError}
   * @throws {NotFoundError}
   */
  remove(name: string, usedBy: () => readonly string[], force = false): boolean {
    if (!this.isThere(name)) {
      if (force) return false;
      throw noSuchVolume(name);
    }
    using staging = Staging.create(this.#staging);
    using lock = lockDirectory(this.directory(name), LOCK_EX);
    if (lock === undefined) {
      if (force) return false;
      throw noSuchVolume(name);
    }
    if (!force) this.get(name); // a damaged one is not to be lost by mistake
    const users = usedBy();
    if (users.length > 0) throw new VolumeInUseError(name, users);
    rename(this.directory(name), `${staging.path}/old`);
    syncDirectory(this.#volumes);
    return true;
  }

  /**
   * Removes those volumes that nobody uses, or is filling or removing just now.
   * @param users says who uses each volume; asked when nobody can begin to use those that are locked
   * @param before is called for each one that goes, when its files are still in their place
   * @returns their names
   */
  removeUnused(
    names: readonly string[],
    users: () => ReadonlyMap<string, unknown>,
    before: (name: string) => void,
  ): string[] {
    const removed: string[] = [];
    for (let at = 0; at < names.length; at += LOCKS_AT_ONCE) {
      using staging = Staging.create(this.#staging);
      using locks = new DisposableStack();
      const locked = names.slice(at, at + LOCKS_AT_ONCE).filter((name) => {
        const lock = lockDirectory(this.directory(name), LOCK_EX | LOCK_NB);
        if (lock !== undefined) locks.use(lock);
        return lock !== undefined;
      });
      const used = users();
      for (const name of locked.filter((each) => !used.has(each))) {
        before(name);
        rename(this.directory(name), `${staging.path}/${removed.length}`);
        removed.push(name);
      }
      if (locked.length > 0) syncDirectory(this.#volumes);
    }
    return removed;
  }

  /** What was being made or removed by whoever is dead goes. One call when there is nothing. */
  cleanUp(): void {
    if (!removeRemains(this.#staging)) return;
    // One may have died between the two halves of a filling.
    for (const name of this.names()) {
      if (statIfExists(this.#copy(name)) === undefined) continue;
      using lock = lockDirectory(this.directory(name), LOCK_EX | LOCK_NB);
      if (lock !== undefined) this.#finishFilling(name);
    }
  }
}

/** Containers keep it. */
export class VolumeInUseError extends MydockerError {
  override readonly name = "VolumeInUseError";

  constructor(name: string, users: readonly string[]) {
    super(`remove ${name}: volume is in use - [${users.join(", ")}]`);
  }
}

/** In Docker's words. */
export const noSuchVolume = (name: string): NotFoundError =>
  new NotFoundError(`get ${name}: no such volume`);

const isEmpty = (path: string): boolean => (ifExists(() => readDirectory(path)) ?? []).length === 0;
