/**
 * Containers of the OCI runtime on disk, under `--root`:
 *
 *   <id>/lock          locked by whoever creates, changes or deletes it (fcntl(2))
 *   <id>/creating.json what it is, and its first process, until it is created; renamed then to
 *   <id>/state.json    the same
 *   <id>/config.json   its configuration, as it was read when it was created
 *   <id>/start.sock    where its first process waits for `start`; gone once it has been
 *
 * The directory is made first and removed last: making it is what claims the id.
 */
import type { CgroupRecord } from "../cgroups/record.ts";
import { MydockerError } from "../errors.ts";
import { isErrno } from "../ffi/call.ts";
import { readDirectory, removeTree } from "../linux/directory.ts";
import { close, fdPath, O, open } from "../linux/fd.ts";
import {
  ifExists,
  makeDirectories,
  mkdir,
  readFile,
  rename,
  statFd,
  statIfExists,
  unlinkIfExists,
} from "../linux/file.ts";
import type { ProcessIdentity } from "../linux/process_identity.ts";
import { awaitByte } from "../linux/record_lock.ts";
import { replaceFile } from "../linux/replace_file.ts";
import { connectTo, listenAt } from "../linux/socket.ts";
import type { Outlook } from "./executable.ts";
import type { ResctrlRecord } from "./resctrl.ts";
import type { Spec } from "./spec.ts";

/** What is kept of a container. */
export interface ContainerRecord {
  readonly ociVersion: string;
  readonly id: string;
  /** absolute path of the directory that held its config.json */
  readonly bundle: string;
  /** absolute path */
  readonly rootfs: string;
  /** RFC 3339, nanoseconds */
  readonly created: string;
  /** name of the user that created it */
  readonly owner: string;
  readonly annotations: Readonly<Record<string, string>>;
  readonly cgroup: CgroupRecord;
  /** The scope of systemd's that its cgroup is. */
  readonly unit?: string;
  readonly resctrl?: ResctrlRecord;
  /** What is wrong with its command's file, if that can be seen. */
  readonly outlook?: Outlook;
  /** It has a session keyring of its own. */
  readonly keyring?: boolean;
  /** It is not created yet, or was never wholly. Said by the file that the record is in. */
  readonly creating?: boolean;
  /** absent before there is one */
  readonly init?: ProcessIdentity;
}

/** The record's file once the container is created, and before. */
const STATE_FILES = [
  ["state.json", false],
  ["creating.json", true],
] as const;

const ID = /^[\w+.-]{1,1024}$/;

/** @throws {MydockerError} for what cannot be the name of a directory of ours */
export function checkId(id: string): string {
  if (id === "") throw new MydockerError("container id cannot be empty");
  if (!ID.test(id) || id === "." || id === "..") {
    throw new MydockerError(
      `invalid container ID format: ${JSON.stringify(id)}: letters, digits and _ + - . only`,
    );
  }
  return id;
}

/** The directory of all containers. */
export class RuntimeStore {
  constructor(readonly root: string) {}

  directory(id: string): string {
    return `${this.root}/${checkId(id)}`;
  }

  /** Claims an id. @throws {MydockerError} when it is taken */
  claim(id: string): void {
    const directory = this.directory(id);
    makeDirectories(this.root, 0o700);
    try {
      mkdir(directory, 0o700);
    } catch (error) {
      if (!isErrno(error, "EEXIST")) throw error;
      throw new MydockerError(`container with given ID already exists: ${id}`, { cause: error });
    }
  }

  /**
   * Waits until nobody else creates, changes or deletes this container. Disposing releases it. By a
   * record lock, which a forked child does not have: one that hangs would hold another kind for ever.
   * @returns undefined when there is no such container
   */
  lock(id: string): Disposable | undefined {
    const path = `${this.directory(id)}/lock`;
    const fd = ifExists(() => open(path, O.O_RDWR | O.O_CREAT, 0o600));
    if (fd === undefined) return undefined;
    awaitByte(fd, 0);
    if (statIfExists(path)?.ino === statFd(fd).ino) return { [Symbol.dispose]: () => close(fd) };
    close(fd); // whoever had the lock has deleted it
    return undefined;
  }

  /** Notes a container that is being created: whoever finds it half made knows what there is of it. */
  note(record: ContainerRecord): void {
    replaceFile(`${this.directory(record.id)}/creating.json`, JSON.stringify(record));
  }

  /** The container is created, as it was noted last. */
  confirm(id: string): void {
    const directory = this.directory(id);
    rename(`${directory}/creating.json`, `${directory}/state.json`);
  }

  writeConfig(id: string, spec: Spec): void {
    replaceFile(`${this.directory(id)}/config.json`, JSON.stringify(spec));
  }

  /** @throws {MydockerError} when there is no such container, or its record is damaged */
  read(id: string): ContainerRecord {
    const record = this.tryRead(id);
    if (record === undefined) throw new MydockerError(`container does not exist: ${id}`);
    return record;
  }

  /** The record; undefined when there is none, or none yet. @throws {MydockerError} when it is damaged */
  tryRead(id: string): ContainerRecord | undefined {
    const directory = this.directory(id);
    for (const [file, creating] of STATE_FILES) {
      const text = ifExists(() => readFile(`${directory}/${file}`));
      if (text === undefined) continue;
      return { ...parse<ContainerRecord>(`${directory}/${file}`, text, "id"), creating };
    }
    return undefined;
  }

  /** @throws {MydockerError} when it is missing or damaged */
  readConfig(id: string): Spec {
    const path = `${this.directory(id)}/config.json`;
    return parse<Spec>(path, readFile(path), "linux");
  }

  /** Ids of all containers, also of those that are half made. */
  list(): string[] {
    return (ifExists(() => readDirectory(this.root)) ?? []).filter((name) => ID.test(name)).sort();
  }

  /** Missing is fine. */
  remove(id: string): void {
    const directory = this.directory(id);
    ifExists(() => removeTree(directory));
  }

  /** Makes the socket at which the first process waits. */
  listen(id: string): number {
    return this.#atSocket(id, (path) => listenAt(path));
  }

  /** Connects to the first process; undefined when it does not wait any more. */
  connect(id: string): number | undefined {
    try {
      return this.#atSocket(id, (path) => connectTo(path));
    } catch (error) {
      if (isErrno(error, "ENOENT", "ECONNREFUSED")) return undefined;
      throw error;
    }
  }

  /** The first process has started its command. */
  forgetSocket(id: string): void {
    unlinkIfExists(`${this.directory(id)}/start.sock`);
  }

  /** By the directory's descriptor: the path of a socket may have 107 bytes only (unix(7)). */
  #atSocket(id: string, act: (path: string) => number): number {
    const directory = open(this.directory(id), O.O_PATH | O.O_DIRECTORY);
    try {
      return act(`${fdPath(directory)}/start.sock`);
    } finally {
      close(directory);
    }
  }
}

function parse<T>(path: string, text: string, field: keyof T): T {
  try {
    const value: T = JSON.parse(text);
    if (value?.[field] !== undefined) return value;
  } catch (cause) {
    throw new MydockerError(`${path} is damaged: ${(cause as Error).message}`, { cause });
  }
  throw new MydockerError(`${path} is damaged: it has no ${JSON.stringify(field)}`);
}
