/** Where `save` puts the files of an archive: into a tar as it goes by, or into a directory. */
import { MydockerError } from "../errors.ts";
import { isErrno } from "../ffi/call.ts";
import { readDirectory, removeTree } from "../linux/directory.ts";
import { close, O, open, writeAll } from "../linux/fd.ts";
import { makeDirectories, mkdir } from "../linux/file.ts";
import type { ChunkSource } from "./chunk_source.ts";
import type { TarEntry } from "./tar_entry.ts";
import { TarWriter } from "./tar_writer.ts";

/** Takes the files of an archive, each once. */
export interface ArchiveTarget extends Disposable {
  /** A file that says what else is there. It counts once everything else is there. */
  addIndex(name: string, bytes: Uint8Array): void;
  addFile(name: string, bytes: Uint8Array): void;
  /** @param source exactly `size` bytes */
  addStream(name: string, size: number, source: ChunkSource): Promise<void>;
  /** Everything is there. */
  finish(): void;
}

/** Bytes of a source, chunk by chunk; each is used before the next one is asked for. */
async function forEachChunk(source: ChunkSource, take: (chunk: Uint8Array) => void): Promise<void> {
  for (;;) {
    const next = source.next(false);
    const chunk = next instanceof Promise ? await next : next;
    if (chunk.length === 0) return;
    take(chunk);
  }
}

/** A member of which nothing depends on the time or the machine: the same images make the same tar. */
const MEMBER: Omit<TarEntry, "type" | "path" | "mode" | "size"> = {
  linkTarget: "",
  uid: 0,
  gid: 0,
  mtime: 0,
  mtimeNanoseconds: 0,
  devMajor: 0,
  devMinor: 0,
  xattrs: [],
};

/** A tar archive. */
export class TarTarget implements ArchiveTarget {
  readonly #tar: TarWriter;
  readonly #directories = new Set<string>();

  /** @param write takes the next bytes of the archive */
  constructor(write: (bytes: Uint8Array) => void) {
    this.#tar = new TarWriter(write);
  }

  addIndex(name: string, bytes: Uint8Array): void {
    this.addFile(name, bytes);
  }

  addFile(name: string, bytes: Uint8Array): void {
    this.#begin(name, bytes.length);
    this.#tar.data(bytes, 0);
    this.#tar.endFile();
  }

  async addStream(name: string, size: number, source: ChunkSource): Promise<void> {
    this.#begin(name, size);
    let at = 0;
    await forEachChunk(source, (chunk) => {
      this.#tar.data(chunk, at);
      at += chunk.length;
    });
    this.#tar.endFile();
  }

  finish(): void {
    this.#tar.finish();
  }

  [Symbol.dispose](): void {}

  #begin(path: string, size: number): void {
    for (let slash = path.indexOf("/"); slash !== -1; slash = path.indexOf("/", slash + 1)) {
      const directory = path.slice(0, slash);
      if (this.#directories.has(directory)) continue;
      this.#directories.add(directory);
      this.#tar.entry({ ...MEMBER, type: "directory", path: directory, mode: 0o755, size: 0 });
    }
    this.#tar.entry({ ...MEMBER, type: "file", path, mode: 0o644, size });
  }
}

/** A new directory, or an empty one; nothing is in it when it is disposed of unfinished. */
export class DirectoryTarget implements ArchiveTarget {
  readonly #indexes: { readonly name: string; readonly bytes: Uint8Array }[] = [];
  readonly #isNew: boolean;
  #isFinished = false;

  /** @throws {MydockerError} when there is something in it */
  constructor(private readonly path: string) {
    let isNew = true;
    try {
      mkdir(path, 0o755);
    } catch (error) {
      if (!isErrno(error, "EEXIST")) throw error;
      isNew = false;
    }
    if (!isNew && readDirectory(path).length > 0)
      throw new MydockerError(`save to ${path}: the directory is not empty`, {
        hint: "name one that is not there yet",
      });
    this.#isNew = isNew;
  }

  addIndex(name: string, bytes: Uint8Array): void {
    this.#indexes.push({ name, bytes });
  }

  addFile(name: string, bytes: Uint8Array): void {
    const { fd, path } = this.#create(name);
    try {
      writeAll(fd, bytes, path);
    } finally {
      close(fd);
    }
  }

  async addStream(name: string, _size: number, source: ChunkSource): Promise<void> {
    const { fd, path } = this.#create(name);
    try {
      await forEachChunk(source, (chunk) => writeAll(fd, chunk, path));
    } finally {
      close(fd);
    }
  }

  finish(): void {
    for (const { name, bytes } of this.#indexes) this.addFile(name, bytes);
    this.#isFinished = true;
  }

  [Symbol.dispose](): void {
    if (this.#isFinished) return;
    if (this.#isNew) removeTree(this.path);
    else for (const name of readDirectory(this.path)) removeTree(`${this.path}/${name}`);
  }

  #create(name: string): { fd: number; path: string } {
    const path = `${this.path}/${name}`;
    makeDirectories(path.slice(0, path.lastIndexOf("/")));
    return { fd: open(path, O.O_WRONLY | O.O_CREAT | O.O_EXCL, 0o644), path };
  }
}
