/**
 * Containers on disk.
 *
 *   <root>/containers/<id>/container.json   what it is; written once
 *   <root>/containers/<id>/config.json      the OCI configuration of its last start
 *   <root>/containers/<id>/exit.json        how it ended last; absent before
 *   <root>/containers/<id>/health.json      what the probes of its last run said, if it has a health check
 *   <root>/containers/<id>/stopped          somebody stopped it, since it was started last
 *   <root>/containers/<id>/{upper,work}     its own layer
 *   <root>/names/<name>                     symbolic link, whose target is the id
 *
 * A directory without container.json is no container: it is one that is being made or removed.
 */
import { MydockerError, NotFoundError } from "../errors.ts";
import { encodeBytes } from "../ffi/bytes.ts";
import { isErrno } from "../ffi/call.ts";
import { whyDamaged } from "../linux/damage.ts";
import { readDirectory, removeTree } from "../linux/directory.ts";
import { AT_FDCWD, AT_SYMLINK_NOFOLLOW, close, fsync, O, open, writeAll } from "../linux/fd.ts";
import {
  ifExists,
  makeDirectories,
  mkdir,
  readFile,
  readlinkIfLink,
  rmdirIfEmpty,
  statIfExists,
  symlink,
  unlinkIfExists,
} from "../linux/file.ts";
import { replaceFile, rewriteAs, syncDirectory, syncFile } from "../linux/replace_file.ts";
import type { Paths } from "../paths.ts";
import type { Spec } from "../runtime/spec.ts";
import { isContainerId } from "./container_id.ts";
import {
  type ContainerRecord,
  type ExitRecord,
  parseContainerRecord,
  parseExitRecord,
  parseHealth,
} from "./container_record.ts";
import type { Health } from "./health.ts";

/** What the file `stopped` says of a container that a shutdown stopped. */
const UNTIL_BOOT = "until boot";

const NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/;

/** The containers of one root directory. */
export class ContainerStore {
  readonly #containers: string;
  readonly #names: string;

  readonly #readText: (path: string) => string | undefined;

  /** @param readText for one who reads many records; undefined for what is missing */
  constructor(
    paths: Paths,
    readText: (path: string) => string | undefined = (path) => ifExists(() => readFile(path)),
  ) {
    this.#readText = readText;
    this.#containers = `${paths.root}/containers`;
    this.#names = `${paths.root}/names`;
  }

  /** Where a container's files are. */
  directory(id: string): string {
    return `${this.#containers}/${id}`;
  }

  /** Makes a container's directory. The caller owns it (ownership.ts). */
  makeDirectory(id: string): string {
    const directory = this.directory(id);
    try {
      mkdir(directory, 0o700);
    } catch (error) {
      if (!isErrno(error, "ENOENT")) throw error;
      makeDirectories(this.#containers);
      mkdir(directory, 0o700);
    }
    return directory;
  }

  /**
   * Takes a name for a container.
   * @throws {MydockerError} when it is malformed or another container has it
   */
  claimName(name: string, id: string): void {
    const holder = this.tryClaimName(name, id);
    if (holder === undefined) return;
    throw new MydockerError(
      `Conflict. The container name "/${name}" is already in use by container "${holder}".`,
      { exitCode: 125, hint: "remove or rename that container, or choose another name" },
    );
  }

  /** {@link claimName} for a name that may be taken. @returns the id of the container that has it */
  tryClaimName(name: string, id: string): string | undefined {
    if (!NAME.test(name)) {
      throw new MydockerError(
        `Invalid container name (${name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed`,
        { exitCode: 125 },
      );
    }
    const path = `${this.#names}/${name}`;
    for (;;) {
      try {
        symlink(id, path);
        return undefined;
      } catch (error) {
        if (isErrno(error, "ENOENT")) {
          makeDirectories(this.#names);
          continue;
        }
        if (!isErrno(error, "EEXIST")) throw error;
      }
      const holder = readlinkIfLink(path);
      if (holder !== undefined) return holder;
      if (statIfExists(path, AT_FDCWD, AT_SYMLINK_NOFOLLOW) === undefined) continue;
      throw new MydockerError(`${path} is damaged: it is no symbolic link`, {
        exitCode: 125,
        hint: "remove that file, or choose another name",
      });
    }
  }

  /** Gives a name back, if it is this container's. @returns whether it was */
  releaseName(name: string, id: string): boolean {
    const path = `${this.#names}/${name}`;
    if (readlinkIfLink(path) !== id) return false;
    unlinkIfExists(path);
    return true;
  }

  writeRecord(record: ContainerRecord): void {
    const path = `${this.directory(record.id)}/container.json`;
    replaceFile(path, JSON.stringify(record));
  }

  /** Sees to it that a container's record and its name survive a power failure. */
  syncRecord(id: string): void {
    syncFile(`${this.directory(id)}/container.json`);
    for (const each of [this.directory(id), this.#containers, this.#names]) syncDirectory(each);
  }

  writeConfig(id: string, spec: Spec): void {
    replaceFile(this.configPath(id), JSON.stringify(spec));
  }

  /** The OCI configuration of its last start. */
  configPath(id: string): string {
    return `${this.directory(id)}/config.json`;
  }

  writeExit(id: string, exit: ExitRecord): void {
    const [path, text] = [`${this.directory(id)}/exit.json`, JSON.stringify(exit)];
    try {
      replaceFile(path, text, { durable: true });
    } catch (error) {
      // A full disk: nobody needs the configuration of its last start any more, which is longer.
      if (!isErrno(error, "ENOSPC", "EDQUOT") || !this.hasStarted(id)) throw error;
      rewriteAs(this.configPath(id), path, text);
    }
  }

  /** Takes back how it ended last: it is about to run again. */
  removeExit(id: string): void {
    unlinkIfExists(`${this.directory(id)}/exit.json`);
  }

  /**
   * Says that somebody wants it stopped: no restart policy starts it again. Until it is started.
   * @param durable survives a power failure
   * @param untilBoot only that the machine goes down; as what it says on record is
   */
  markStopped(id: string, durable: boolean, untilBoot = false): void {
    const fd = open(this.#stoppedPath(id), O.O_WRONLY | O.O_CREAT | O.O_TRUNC, 0o600);
    try {
      if (untilBoot) writeAll(fd, encodeBytes(UNTIL_BOOT));
      if (untilBoot && durable) fsync(fd);
    } finally {
      close(fd);
    }
    if (durable) syncDirectory(this.directory(id));
  }

  /** Takes that back. */
  unmarkStopped(id: string): void {
    unlinkIfExists(this.#stoppedPath(id));
  }

  /** Whether somebody wanted it stopped since it was started last. */
  isMarkedStopped(id: string): boolean {
    return statIfExists(this.#stoppedPath(id)) !== undefined;
  }

  /** Whether that was somebody who meant the container, not the machine. */
  isStoppedByHand(id: string): boolean {
    const said = ifExists(() => readFile(this.#stoppedPath(id)));
    return said !== undefined && said !== UNTIL_BOOT;
  }

  #stoppedPath(id: string): string {
    return `${this.directory(id)}/stopped`;
  }

  writeHealth(id: string, health: Health): void {
    replaceFile(`${this.directory(id)}/health.json`, JSON.stringify(health));
  }

  /** How healthy it is; undefined when nothing is known, or it is damaged: the next probe writes it anew. */
  readHealth(id: string): Health | undefined {
    try {
      return readJson(this.#readText, `${this.directory(id)}/health.json`, parseHealth);
    } catch (error) {
      if (error instanceof DamagedContainerError) return undefined;
      throw error;
    }
  }

  /** Takes back that it was about to run. */
  removeConfig(id: string): void {
    unlinkIfExists(`${this.directory(id)}/config.json`);
  }

  /** Whether its command was ever about to be executed: there is a configuration of a start. */
  hasStarted(id: string): boolean {
    return statIfExists(`${this.directory(id)}/config.json`) !== undefined;
  }

  /** Where what it writes is logged; older files of it have a number behind the name. */
  logPath(id: string): string {
    return `${this.directory(id)}/${id}-json.log`;
  }

  /**
   * @returns undefined when there is no such container, or only the beginnings of one
   * @throws {DamagedContainerError}
   */
  read(id: string): ContainerRecord | undefined {
    return readJson(this.#readText, `${this.directory(id)}/container.json`, (value) =>
      parseContainerRecord(value, id),
    );
  }

  /** The record with the name that it has by now: it may have been renamed since it was read. */
  current(record: ContainerRecord): ContainerRecord {
    if (readlinkIfLink(`${this.#names}/${record.name}`) === record.id) return record;
    return this.readIfSound(record.id) ?? record;
  }

  /** {@link read} of one that may be damaged: undefined then. */
  readIfSound(id: string): ContainerRecord | undefined {
    try {
      return this.read(id);
    } catch (error) {
      if (error instanceof DamagedContainerError) return undefined;
      throw error;
    }
  }

  /** How it ended; undefined when it has not. @throws {DamagedContainerError} */
  readExit(id: string): ExitRecord | undefined {
    return readJson(this.#readText, `${this.directory(id)}/exit.json`, parseExitRecord);
  }

  /** Whether it has ended, and its end was written down. */
  hasExit(id: string): boolean {
    return statIfExists(`${this.directory(id)}/exit.json`) !== undefined;
  }

  /** Whether there is a container whose record cannot be read. */
  isDamaged(id: string): boolean {
    try {
      this.read(id);
      return false;
    } catch (error) {
      if (error instanceof DamagedContainerError) return true;
      throw error;
    }
  }

  /** Whether there is anything of a container, were it only the beginnings. */
  hasFiles(id: string): boolean {
    return statIfExists(this.directory(id)) !== undefined;
  }

  /** When its directory was made or last changed, RFC 3339: all that a damaged one says of its age. */
  changedAt(id: string): string {
    const seconds = statIfExists(this.directory(id))?.mtime ?? 0;
    return new Date(seconds * 1000).toISOString();
  }

  /** The ids of all containers, and of what is being made or removed. */
  ids(): string[] {
    return (ifExists(() => readDirectory(this.#containers)) ?? []).filter(isContainerId);
  }

  /**
   * The id of the container that a person means: by full id, by name, or by the beginning of its id.
   * Its record is not looked at.
   * @throws {MydockerError} when there is none, or more than one
   */
  resolve(reference: string): string {
    if (isContainerId(reference) && this.hasFiles(reference)) return reference;
    const name = reference.replace(/^\//, "");
    const named = NAME.test(name) ? readlinkIfLink(`${this.#names}/${name}`) : undefined;
    if (named !== undefined && isContainerId(named) && this.hasFiles(named)) return named;
    const matches = /^[0-9a-f]+$/.test(reference)
      ? this.ids().filter((id) => id.startsWith(reference))
      : [];
    if (matches.length > 1) {
      throw new MydockerError(`multiple containers found with the id prefix ${reference}`);
    }
    if (matches[0] === undefined) throw new NotFoundError(`No such container: ${reference}`);
    return matches[0];
  }

  /** The name that a container has taken, found without its record. */
  nameOf(id: string): string | undefined {
    return this.#takenNames().find((name) => readlinkIfLink(`${this.#names}/${name}`) === id);
  }

  #takenNames(): readonly string[] {
    return ifExists(() => readDirectory(this.#names)) ?? [];
  }

  /**
   * Removes a container's files, and before them its name. The caller owns it.
   * @param name what it is called; looked up if not given
   */
  remove(id: string, name?: string): void {
    const directory = this.directory(id);
    // One that was renamed since it was looked up has another name now.
    if (name === undefined || !this.releaseName(name, id)) this.#releaseNames(id);
    // What a container leaves that wrote nothing takes no look into any directory.
    if (!rmdirIfEmpty(`${directory}/upper`)) removeTree(`${directory}/upper`);
    rmdirIfEmpty(`${directory}/work/work`);
    if (!rmdirIfEmpty(`${directory}/work`)) removeTree(`${directory}/work`);
    unlinkIfExists(`${directory}/config.json`);
    try {
      unlinkIfExists(`${directory}/container.json`);
    } catch (error) {
      if (!isErrno(error, "EISDIR", "EPERM")) throw error; // somebody put a directory there
    }
    if (!rmdirIfEmpty(directory)) removeTree(directory);
  }

  #releaseNames(id: string): void {
    for (const name of this.#namesInRecord(id) ?? [this.nameOf(id)]) {
      if (name !== undefined) this.releaseName(name, id);
    }
  }

  #namesInRecord(id: string): (string | undefined)[] | undefined {
    try {
      const record = this.read(id);
      return record === undefined ? undefined : [record.name, record.otherName];
    } catch (error) {
      if (error instanceof DamagedContainerError) return undefined;
      throw error;
    }
  }
}

/** A container one of whose files is not what it should be. Others are not affected. */
export class DamagedContainerError extends MydockerError {
  override readonly name = "DamagedContainerError";
}

function readJson<T>(
  read: (path: string) => string | undefined,
  path: string,
  parse: (value: unknown) => T,
): T | undefined {
  let why: string;
  let cause: unknown;
  try {
    const text = read(path);
    return text === undefined ? undefined : parse(JSON.parse(text));
  } catch (error) {
    cause = error;
    why = whyDamaged(error);
  }
  throw new DamagedContainerError(`${path} is damaged: ${why}`, {
    cause,
    hint: "`mydocker rm -f` and its id removes that container",
  });
}
