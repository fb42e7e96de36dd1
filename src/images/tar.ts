/**
 * Reads a tar archive as it arrives: v7, ustar, PAX and GNU tar, names as bytes, sparse files as
 * segments. Memory stays bounded by the limits whatever the archive says.
 */
import { type PaxRecords, parsePax, paxInteger, paxPath, paxTime } from "./pax.ts";
import {
  checkSparse,
  OldGnuSparse,
  PaxSparseReader,
  paxSparseSegments,
  type Segment,
} from "./sparse.ts";
import { BLOCK, decodeHeader, isZeroBlock, type RawHeader, TarError } from "./tar_header.ts";

export type TarEntryType =
  | "file"
  | "directory"
  | "symlink"
  | "hardlink"
  | "character"
  | "block"
  | "fifo";

/** A member of an archive, every extension applied. Nothing about it is trusted. */
export interface TarEntry {
  readonly type: TarEntryType;
  /** As written: absolute, with `..`, with a trailing slash. */
  readonly path: string;
  readonly linkTarget: string;
  /** Permission bits, setuid, setgid and sticky. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Bytes of the file, holes included. */
  readonly size: number;
  /** seconds since 1970 */
  readonly mtime: number;
  readonly mtimeNanoseconds: number;
  readonly devMajor: number;
  readonly devMinor: number;
  readonly xattrs: readonly (readonly [name: string, value: Uint8Array])[];
}

/** Whom the reader tells what it finds. Files get `data` in ascending order of offsets, then `endFile`. */
export interface TarSink {
  entry(entry: TarEntry): void;
  data(bytes: Uint8Array, offset: number): void;
  endFile(): void;
}

export interface TarLimits {
  /** Headers of any kind. */
  readonly headers: number;
  /** Bytes of one PAX or long-name header. */
  readonly headerBytes: number;
}

export const TAR_LIMITS: TarLimits = { headers: 10_000_000, headerBytes: 1 << 20 };

const TYPES: Readonly<Record<string, TarEntryType>> = {
  "0": "file",
  "\0": "file",
  "7": "file", // contiguous
  S: "file", // sparse, old GNU
  "1": "hardlink",
  "2": "symlink",
  "3": "character",
  "4": "block",
  "5": "directory",
  D: "directory", // GNU dump: data is a list of names
  "6": "fifo",
};
/** PAX for the next member, PAX for all that follow, Solaris' PAX, GNU long link target, GNU long name. */
const META = "xgXKL";
const XATTR = "SCHILY.xattr.";

const truncated = () =>
  new TarError("the tar archive is truncated: it ends in the middle of a file");

/** Feed it with {@link push}, then {@link end}. Both throw {@link TarError}, and what the sink throws. */
export class TarReader {
  private state: "header" | "meta" | "sparse-old" | "sparse-pax" | "data" | "end" = "header";
  /** A block that arrives in pieces. */
  private readonly partial = new Uint8Array(BLOCK);
  private filled = 0;
  /** Bytes taken so far; the place of the current block, for messages. */
  private at = 0;
  private headers = 0;
  private zeroBlocks = 0;

  private meta: { type: string; bytes: Uint8Array; filled: number } | undefined;
  private global: PaxRecords = [];
  private local: PaxRecords = [];
  private longPath: string | undefined;
  private longLink: string | undefined;

  private raw: RawHeader | undefined;
  private records: PaxRecords = [];
  private oldSparse: OldGnuSparse | undefined;
  private paxSparse: PaxSparseReader | undefined;

  /** Bytes of data still to come, and of the padding after them. */
  private remaining = 0;
  private padding = 0;
  private skipping = false;
  private segments: readonly Segment[] = [];
  private segment = 0;
  private inSegment = 0;

  constructor(
    private readonly sink: TarSink,
    private readonly limits: TarLimits = TAR_LIMITS,
  ) {}

  /** Takes the next bytes, however many. They are not kept after the call. */
  push(chunk: Uint8Array): void {
    let from = 0;
    while (from < chunk.length) {
      if (this.state === "end") return;
      if (this.state === "data") from += this.takeData(chunk, from);
      else if (this.filled === 0 && chunk.length - from >= BLOCK) {
        this.takeBlock(chunk.subarray(from, from + BLOCK));
        from += BLOCK;
      } else {
        const count = Math.min(BLOCK - this.filled, chunk.length - from);
        this.partial.set(chunk.subarray(from, from + count), this.filled);
        this.filled += count;
        from += count;
        if (this.filled === BLOCK) {
          this.filled = 0;
          this.takeBlock(this.partial);
        }
      }
    }
  }

  /** The archive's end was seen; what follows means nothing. */
  get ended(): boolean {
    return this.state === "end";
  }

  /** There is no more. An archive may end without its two blocks of zeroes, but between members only. */
  end(): void {
    if (this.state === "end") return;
    if (this.at === 0 && this.filled === 0) throw new TarError("the tar archive is empty");
    if (this.state !== "header" || this.filled !== 0 || this.hasPending()) throw truncated();
    this.state = "end";
  }

  private hasPending(): boolean {
    return this.local.length > 0 || this.longPath !== undefined || this.longLink !== undefined;
  }

  private takeBlock(block: Uint8Array): void {
    const at = this.at;
    this.at += BLOCK;
    switch (this.state) {
      case "meta":
        this.takeMeta(block);
        break;
      case "sparse-old": {
        const sparse = this.oldSparse as OldGnuSparse;
        sparse.add(block);
        if (!sparse.extended) this.startFile(sparse.segments, sparse.size);
        break;
      }
      case "sparse-pax": {
        this.remaining -= BLOCK;
        if (this.remaining < 0)
          throw new TarError(`the tar archive is damaged: bad sparse map at byte ${at}`);
        const segments = (this.paxSparse as PaxSparseReader).add(block);
        if (segments !== undefined) this.startFile(segments, this.paxSize());
        break;
      }
      default:
        this.takeHeader(block, at);
    }
  }

  private takeHeader(block: Uint8Array, at: number): void {
    if (isZeroBlock(block)) {
      this.zeroBlocks += 1;
      if (this.zeroBlocks === 2) this.state = "end";
      return;
    }
    if (this.zeroBlocks > 0)
      throw new TarError(`the tar archive is damaged: a lone block of zeroes before byte ${at}`);
    const raw = decodeHeader(block, at);
    this.headers += 1;
    if (this.headers > this.limits.headers)
      throw new TarError(`the tar archive has more than ${this.limits.headers} headers`);
    if (raw.size < 0) throw new TarError(`the tar archive is damaged: negative size at byte ${at}`);
    if (META.includes(raw.type)) this.startMeta(raw, at);
    else this.startEntry(raw, block, at);
  }

  private startMeta(raw: RawHeader, at: number): void {
    if (raw.size > this.limits.headerBytes)
      throw new TarError(
        `the tar archive has a header of ${raw.size} bytes at byte ${at}; the limit is ${this.limits.headerBytes}`,
      );
    this.meta = { type: raw.type, bytes: new Uint8Array(raw.size), filled: 0 };
    if (raw.size === 0) this.endMeta();
    else this.state = "meta";
  }

  private takeMeta(block: Uint8Array): void {
    const meta = this.meta as { bytes: Uint8Array; filled: number };
    const count = Math.min(BLOCK, meta.bytes.length - meta.filled);
    meta.bytes.set(block.subarray(0, count), meta.filled);
    meta.filled += count;
    if (meta.filled === meta.bytes.length) this.endMeta();
  }

  private endMeta(): void {
    const { type, bytes } = this.meta as { type: string; bytes: Uint8Array };
    this.meta = undefined;
    this.state = "header";
    if (type === "x" || type === "X") this.local = parsePax(bytes, this.at);
    else if (type === "g") this.global = [...this.global, ...parsePax(bytes, this.at)].slice(-1000);
    else {
      const nul = bytes.indexOf(0);
      const path = paxPath(nul === -1 ? bytes : bytes.subarray(0, nul), "long name", this.at);
      if (type === "L") this.longPath = path;
      else this.longLink = path;
    }
  }

  /** The last value of a keyword; a member's own record hides the global one, an empty one both. */
  private record(key: string): Uint8Array | undefined {
    const value =
      this.records.findLast(([name]) => name === key)?.[1] ??
      this.global.findLast(([name]) => name === key)?.[1];
    return value?.length === 0 ? undefined : value;
  }

  private integer(key: string): number | undefined {
    const value = this.record(key);
    return value === undefined ? undefined : paxInteger(value, key, this.at);
  }

  private paxSize(): number {
    return this.integer("GNU.sparse.realsize") ?? this.integer("GNU.sparse.size") ?? -1;
  }

  private startEntry(header: RawHeader, block: Uint8Array, at: number): void {
    this.records = this.local;
    this.local = [];
    const path = this.record("path");
    const link = this.record("linkpath");
    const raw = {
      ...header,
      path: path === undefined ? (this.longPath ?? header.path) : paxPath(path, "path", at),
      linkTarget:
        link === undefined ? (this.longLink ?? header.linkTarget) : paxPath(link, "linkpath", at),
      uid: this.integer("uid") ?? header.uid,
      gid: this.integer("gid") ?? header.gid,
      size: this.integer("size") ?? header.size,
    };
    this.longPath = undefined;
    this.longLink = undefined;
    if (raw.size < 0) throw new TarError(`the tar archive is damaged: negative size at byte ${at}`);
    this.raw = raw;
    this.setRemaining(raw.size);
    // A volume label of GNU tar is no member.
    if (raw.type === "V") {
      this.skip();
      return;
    }
    const type = TYPES[raw.type];
    if (type === undefined)
      throw new TarError(
        `the tar archive has a member of type ${JSON.stringify(raw.type)} at byte ${at}, which is not supported: ${JSON.stringify(raw.path)}`,
      );
    if (type !== "file" || (raw.type !== "S" && raw.path.endsWith("/"))) {
      this.emit(type === "file" ? "directory" : type, 0);
      // Sizes of links and devices say nothing of data (Go's archive/tar reads them so, too).
      if (type === "file" || raw.type === "D") this.skip();
      else this.setRemaining(0);
      return;
    }
    this.startRegular(raw, block, at);
  }

  private startRegular(raw: RawHeader, block: Uint8Array, at: number): void {
    if (raw.type === "S") {
      this.oldSparse = new OldGnuSparse(block, at);
      if (this.oldSparse.extended) this.state = "sparse-old";
      else this.startFile(this.oldSparse.segments, this.oldSparse.size);
      return;
    }
    if (this.record("GNU.sparse.major") !== undefined) {
      if (this.integer("GNU.sparse.major") !== 1 || this.integer("GNU.sparse.minor") !== 0)
        throw new TarError(`the tar archive has an unknown sparse format at byte ${at}`);
      this.paxSparse = new PaxSparseReader(at);
      this.state = "sparse-pax";
      return;
    }
    const segments = paxSparseSegments(this.records, at);
    if (segments !== undefined) this.startFile(segments, this.paxSize());
    else if (this.paxSize() >= 0) this.startFile([], this.paxSize());
    else this.startFile([{ offset: 0, length: raw.size }], raw.size);
  }

  private startFile(segments: readonly Segment[], size: number): void {
    this.segments = checkSparse({ segments, size }, this.remaining, this.at).segments;
    this.segment = 0;
    this.inSegment = 0;
    this.skipping = false;
    this.state = "data";
    this.emit("file", size);
    if (this.remaining === 0) this.endData();
  }

  private skip(): void {
    this.skipping = true;
    this.state = this.remaining === 0 ? "header" : "data";
  }

  private setRemaining(size: number): void {
    this.remaining = size;
    this.padding = (BLOCK - (size % BLOCK)) % BLOCK;
  }

  private emit(type: TarEntryType, size: number): void {
    const raw = this.raw as RawHeader;
    const time = this.record("mtime");
    const mtime =
      time === undefined ? { seconds: raw.mtime, nanoseconds: 0 } : paxTime(time, "mtime", this.at);
    const name = this.record("GNU.sparse.name");
    this.sink.entry({
      type,
      path: name === undefined ? raw.path : paxPath(name, "GNU.sparse.name", this.at),
      linkTarget: raw.linkTarget,
      mode: raw.mode & 0o7777,
      uid: raw.uid,
      gid: raw.gid,
      size,
      mtime: mtime.seconds,
      mtimeNanoseconds: mtime.nanoseconds,
      devMajor: raw.devMajor,
      devMinor: raw.devMinor,
      xattrs: this.xattrs(),
    });
  }

  private xattrs(): TarEntry["xattrs"] {
    if (this.records.length === 0 && this.global.length === 0) return [];
    const found = new Map<string, Uint8Array>();
    for (const [key, value] of [...this.global, ...this.records])
      if (key.startsWith(XATTR)) found.set(key.slice(XATTR.length), value);
    return [...found];
  }

  /** Takes data or padding from `chunk` at `from`. @returns the count of bytes taken */
  private takeData(chunk: Uint8Array, from: number): number {
    if (this.remaining === 0) {
      const count = Math.min(this.padding, chunk.length - from);
      this.padding -= count;
      this.at += count;
      if (this.padding === 0) this.state = "header";
      return count;
    }
    const count = Math.min(this.remaining, chunk.length - from);
    if (!this.skipping) this.giveData(chunk, from, count);
    this.remaining -= count;
    this.at += count;
    if (this.remaining === 0) this.endData();
    return count;
  }

  private giveData(chunk: Uint8Array, start: number, count: number): void {
    for (let from = start; from < start + count; ) {
      const { offset, length } = this.segments[this.segment] as Segment;
      const part = Math.min(length - this.inSegment, start + count - from);
      if (part > 0) this.sink.data(chunk.subarray(from, from + part), offset + this.inSegment);
      this.inSegment += part;
      from += part;
      if (this.inSegment === length) {
        this.segment += 1;
        this.inSegment = 0;
      }
    }
  }

  private endData(): void {
    if (!this.skipping) this.sink.endFile();
    if (this.padding === 0) this.state = "header";
  }
}
