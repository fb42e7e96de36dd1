/**
 * The files of an archive of images, in a tar or a directory, by the names that its manifests use.
 * A tar is never unpacked: it is read where its files are. Links in it lead to other names in it,
 * whatever the machine has there; `docker save` writes such for layers that two images have.
 */
import { MydockerError } from "../errors.ts";
import { isErrno } from "../ffi/call.ts";
import { close, O, openat2, pread, RESOLVE } from "../linux/fd.ts";
import { S_IFMT, S_IFREG, statFd } from "../linux/file.ts";
import { type ChunkSource, RangeSource } from "./chunk_source.ts";
import { TarReader } from "./tar.ts";
import type { TarEntry } from "./tar_entry.ts";
import { BLOCK, quoteName, TarError } from "./tar_header.ts";

/** A file of an archive. */
export interface ArchiveFile extends Disposable {
  /** bytes */
  readonly size: number;
  /** Its bytes, from the start; a new one each time. */
  source(): ChunkSource;
}

/** The files of an archive. */
export interface ArchiveFiles extends Disposable {
  /** @throws {TarError} when it is there twice, or no regular file */
  open(name: string): ArchiveFile | undefined;
}

/** What an archive may say that is no layer: as large as a manifest may be. */
export const SMALL_FILE = 4 * 2 ** 20;

/**
 * Reads a small file.
 * @returns undefined when it is not there
 * @throws {TarError} when it is larger than {@link SMALL_FILE}
 */
export function readSmall(files: ArchiveFiles, name: string): Uint8Array | undefined {
  using file = files.open(name);
  if (file === undefined) return undefined;
  if (file.size > SMALL_FILE)
    throw new TarError(`${quoteName(name)} in the archive is larger than ${SMALL_FILE >> 20} MiB`);
  const bytes = new Uint8Array(file.size);
  const source = file.source();
  for (let at = 0; at < bytes.length; ) {
    const chunk = source.next(false);
    if (chunk instanceof Promise || chunk.length === 0)
      throw new TarError(`${quoteName(name)} in the archive is shorter than it says`);
    bytes.set(chunk, at);
    at += chunk.length;
  }
  return bytes;
}

/** A name without `.`, empty components and a leading slash; undefined with `..` in it. */
function normalize(name: string): string | undefined {
  const parts = name.split("/").filter((part) => part !== "" && part !== ".");
  return parts.includes("..") ? undefined : parts.join("/");
}

type Indexed =
  | { readonly kind: "file"; readonly offset: number; readonly size: number }
  | { readonly kind: "link"; readonly target: string | undefined }
  | { readonly kind: "other"; readonly type: string };

/** Links that lead to links, at most. */
const LINK_LIMIT = 8;
/** Names that are kept: an image of 500 layers has three files for each. */
const NAME_LIMIT = 100_000;

/** The files of a tar that can be read at any place. */
export class TarFiles implements ArchiveFiles {
  readonly #entries = new Map<string, Indexed | "twice">();

  /** @param fd a regular file, from its start; closed when this is disposed of */
  constructor(private readonly fd: number) {
    const index = new Indexer(this.#entries);
    index.read(fd);
  }

  open(name: string): ArchiveFile | undefined {
    let path = normalize(name);
    for (let links = 0; links <= LINK_LIMIT && path !== undefined; links++) {
      const entry = this.#entries.get(path);
      if (entry === undefined) {
        if (links > 0)
          throw new TarError(`${quoteName(name)} is a link to what is not in the archive`);
        return undefined;
      }
      if (entry === "twice")
        throw new TarError(`the archive is ambiguous: ${quoteName(path)} is in it twice`);
      if (entry.kind === "other")
        throw new TarError(
          `${quoteName(name)} in the archive is a ${entry.type}, and no plain file`,
        );
      if (entry.kind === "file") {
        const { offset, size } = entry;
        return {
          size,
          source: () => new RangeSource(this.fd, offset, size),
          [Symbol.dispose]() {},
        };
      }
      path = entry.target;
    }
    throw new TarError(`${quoteName(name)} is a link that leads out of the archive, or nowhere`);
  }

  [Symbol.dispose](): void {
    close(this.fd);
  }
}

/** Reads the headers of a tar, and notes where the data of its files is. */
class Indexer {
  private reader: TarReader;
  private base = 0;
  /** The file whose header was just read. */
  private last: { readonly name: string; readonly size: number } | undefined;

  constructor(private readonly entries: Map<string, Indexed | "twice">) {
    this.reader = new TarReader({
      entry: (entry) => this.note(entry),
      data: () => {},
      endFile: () => {},
    });
  }

  read(fd: number): void {
    const buffer = new Uint8Array(65536);
    let skipped = 0;
    while (!this.reader.ended) {
      const count = pread(fd, buffer, this.base);
      if (count === 0) break;
      let at = 0;
      for (; at < count && !this.reader.ended; at += BLOCK) {
        this.reader.push(buffer.subarray(at, Math.min(at + BLOCK, count)));
        skipped = this.reader.skipData();
        this.checkSize(skipped);
        if (skipped > 0) break;
      }
      this.base += skipped > 0 ? at + BLOCK + skipped : count;
      skipped = 0;
    }
    const size = statFd(fd).size;
    if (this.base > size)
      throw new TarError("the tar archive is truncated: it ends in the middle of a file");
    this.reader.end();
  }

  /** A sparse file is not there byte by byte: it is not to be read where it is. */
  private checkSize(stored: number): void {
    const { last } = this;
    if (last === undefined) return;
    if (this.entries.get(last.name) !== "twice" && last.size > stored)
      this.entries.set(last.name, { kind: "other", type: "sparse file" });
    this.last = undefined;
  }

  private note(entry: TarEntry): void {
    const name = normalize(entry.path);
    if (name === undefined || name === "") return; // no manifest can name it
    if (entry.type === "directory") return;
    if (this.entries.size >= NAME_LIMIT)
      throw new TarError(
        `the archive has more than ${NAME_LIMIT} files: it is no archive of images`,
      );
    this.entries.set(name, this.entries.has(name) ? "twice" : this.indexed(entry, name));
  }

  private indexed(entry: TarEntry, name: string): Indexed {
    const { type, linkTarget } = entry;
    switch (type) {
      case "file":
        this.last = { name, size: entry.size };
        return { kind: "file", offset: this.reader.position, size: entry.size };
      case "hardlink":
        return { kind: "link", target: normalize(linkTarget) };
      case "symlink":
        return { kind: "link", target: resolveLink(name, linkTarget) };
      default:
        return { kind: "other", type };
    }
  }
}

/** Where a symbolic link leads within the archive; undefined when it leads out of it. */
function resolveLink(name: string, target: string): string | undefined {
  if (target.startsWith("/")) return undefined;
  const path = name.split("/").slice(0, -1);
  for (const part of target.split("/")) {
    if (part === "" || part === ".") continue;
    if (part !== "..") path.push(part);
    else if (path.pop() === undefined) return undefined;
  }
  return path.join("/");
}

const BENEATH =
  RESOLVE.RESOLVE_BENEATH | RESOLVE.RESOLVE_NO_SYMLINKS | RESOLVE.RESOLVE_NO_MAGICLINKS;

/** The files of a directory; no link in it is followed. */
export class DirectoryFiles implements ArchiveFiles {
  /** @param fd of the directory; closed when this is disposed of */
  constructor(private readonly fd: number) {}

  open(name: string): ArchiveFile | undefined {
    const path = normalize(name);
    if (path === undefined || path === "") return undefined;
    let fd: number;
    try {
      fd = openat2(this.fd, path, O.O_RDONLY | O.O_NONBLOCK | O.O_NOCTTY, BENEATH);
    } catch (error) {
      if (isErrno(error, "ENOENT", "ENOTDIR")) return undefined;
      if (!isErrno(error, "ELOOP", "EXDEV", "ENXIO")) throw error;
      throw new MydockerError(`${quoteName(name)} goes through a symbolic link, or is no file`, {
        cause: error,
      });
    }
    const { mode, size } = statFd(fd);
    if ((mode & S_IFMT) === S_IFREG)
      return {
        size,
        source: () => new RangeSource(fd, 0, size),
        [Symbol.dispose]: () => close(fd),
      };
    close(fd);
    throw new MydockerError(`${quoteName(name)} is no regular file`);
  }

  [Symbol.dispose](): void {
    close(this.fd);
  }
}
