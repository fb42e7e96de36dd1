/**
 * Containers on disk.
 *
 *   <root>/containers/<id>/container.json   what it is; written once
 *   <root>/containers/<id>/config.json      the OCI configuration of its last start
 *   <root>/containers/<id>/exit.json        how it ended last; absent before
 *   <root>/containers/<id>/{upper,work}     its own layer
 *   <root>/names/<name>                     symbolic link, whose target is the id
 *
 * A container without container.json does not exist: it is made first and removed last.
 */
import { MydockerError } from "../errors.ts";
import { isErrno } from "../ffi/call.ts";
import { readDirectory, removeTree } from "../linux/directory.ts";
import {
  ifExists,
  makeDirectories,
  mkdir,
  readFile,
  readlink,
  replaceFile,
  rmdirIfEmpty,
  symlink,
  unlink,
  unlinkIfExists,
} from "../linux/file.ts";
import type { Paths } from "../paths.ts";
import type { Spec } from "../runtime/spec.ts";
import type { RunOptions } from "./run_options.ts";

/** What a container is, from its making to its removal. */
export interface ContainerRecord {
  readonly id: string;
  readonly name: string;
  /** RFC 3339 */
  readonly created: string;
  /** The image as it was asked for; `--rootfs`'s directory otherwise. */
  readonly image: string;
  readonly imageId?: string;
  /** Directories that its own layer lies on, the lowest first. */
  readonly layers: readonly string[];
  /** The whole command line of its first process. */
  readonly command: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
  readonly options: RunOptions;
}

/** How a container ended. */
export interface ExitRecord {
  readonly exitCode: number;
  readonly oomKilled: boolean;
  /** RFC 3339; absent when it never started */
  readonly startedAt?: string;
  /** RFC 3339 */
  readonly finishedAt: string;
  /** Why it could not be started, or that it was lost. */
  readonly error?: string;
}

const NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/;
const ID = /^[0-9a-f]{64}$/;

/** The containers of one root directory. */
export class ContainerStore {
  readonly #containers: string;
  readonly #names: string;

  constructor(paths: Paths) {
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
      { exitCode: 125, hint: `remove it with \`mydocker rm ${name}\`, or choose another name` },
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
      const holder = ifExists(() => readlink(path));
      if (holder !== undefined) return holder;
    }
  }

  /** Gives a name back, if it is this container's. */
  releaseName(name: string, id: string): void {
    const path = `${this.#names}/${name}`;
    if (ifExists(() => readlink(path)) === id) ifExists(() => unlink(path));
  }

  writeRecord(record: ContainerRecord): void {
    replaceFile(`${this.directory(record.id)}/container.json`, JSON.stringify(record));
  }

  writeConfig(id: string, spec: Spec): void {
    replaceFile(`${this.directory(id)}/config.json`, JSON.stringify(spec));
  }

  writeExit(id: string, exit: ExitRecord): void {
    replaceFile(`${this.directory(id)}/exit.json`, JSON.stringify(exit), { durable: true });
  }

  /** @returns undefined when there is no such container, or only the beginnings of one */
  read(id: string): ContainerRecord | undefined {
    return readJson<ContainerRecord>(`${this.directory(id)}/container.json`);
  }

  readExit(id: string): ExitRecord | undefined {
    return readJson<ExitRecord>(`${this.directory(id)}/exit.json`);
  }

  /** The ids of all containers, and of what is being made or removed. */
  ids(): string[] {
    return (ifExists(() => readDirectory(this.#containers)) ?? []).filter((id) => ID.test(id));
  }

  /**
   * The container that a person means: by full id, by name, or by the beginning of its id.
   * @throws {MydockerError} when there is none, or more than one
   */
  resolve(reference: string): ContainerRecord {
    const exact = ID.test(reference) ? this.read(reference) : undefined;
    if (exact !== undefined) return exact;
    const named = NAME.test(reference.replace(/^\//, ""))
      ? ifExists(() => readlink(`${this.#names}/${reference.replace(/^\//, "")}`))
      : undefined;
    const byName = named === undefined ? undefined : this.read(named);
    if (byName !== undefined) return byName;
    const matches = /^[0-9a-f]+$/.test(reference)
      ? this.ids().filter((id) => id.startsWith(reference))
      : [];
    if (matches.length > 1) {
      throw new MydockerError(`multiple containers found with the id prefix ${reference}`);
    }
    const found = matches[0] === undefined ? undefined : this.read(matches[0]);
    if (found === undefined) throw new MydockerError(`No such container: ${reference}`);
    return found;
  }

  /**
   * Removes a container's files, and before them its name. The caller owns it.
   * @param name what it is called; read from its record if not given
   */
  remove(id: string, name = this.#nameOf(id)): void {
    const directory = this.directory(id);
    if (name !== undefined) this.releaseName(name, id);
    // What a container leaves that wrote nothing takes no look into any directory.
    if (!rmdirIfEmpty(`${directory}/upper`)) removeTree(`${directory}/upper`);
    rmdirIfEmpty(`${directory}/work/work`);
    if (!rmdirIfEmpty(`${directory}/work`)) removeTree(`${directory}/work`);
    unlinkIfExists(`${directory}/config.json`);
    unlinkIfExists(`${directory}/container.json`);
    if (!rmdirIfEmpty(directory)) removeTree(directory);
  }

  #nameOf(id: string): string | undefined {
    try {
      return this.read(id)?.name;
    } catch (error) {
      if (error instanceof MydockerError) return undefined; // damaged: recovery looks for the name
      throw error;
    }
  }

  /** Names whose container is gone: the work of an owner that died in between. */
  releaseNamesOf(id: string): void {
    for (const name of ifExists(() => readDirectory(this.#names)) ?? []) this.releaseName(name, id);
  }
}

function readJson<T>(path: string): T | undefined {
  const text = ifExists(() => readFile(path));
  if (text === undefined) return undefined;
  try {
    return JSON.parse(text) as T;
  } catch (cause) {
    throw new MydockerError(`${path} is damaged`, { cause });
  }
}
