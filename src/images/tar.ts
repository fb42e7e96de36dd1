/**
 * Reads a tar archive as it arrives: v7, ustar, PAX and GNU tar, names as bytes, sparse files as
 * segments. Memory stays bounded by the limits whatever the archive says.
 */
import {
  checkSparse,
  OldGnuSparse,
  PaxSparseReader,
  paxSparseSegments,
  type Segment,
} from "./sparse.ts";
import { TAR_LIMITS, type TarEntryType, type TarLimits, type TarSink } from "./tar_entry.ts";
import { isExtension, TarExtensions } from "./tar_extensions.ts";
import {
  BLOCK,
  decodeHeader,
  isZeroBlock,
  quoteName,
  type RawHeader,
  TarError,
} from "./tar_header.ts";

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
const truncated = () =>
  new TarError("the tar archive is truncated: it ends in the middle of a file");

/** Feed it with {@link push}, then {@link end}. Both throw {@link TarError}, and what the sink throws. */
export class TarReader {
  private state: "header" | "extension" | "sparse-old" | "sparse-pax" | "data" | "end" = "header";
  /** A block that arrives in pieces. */
  private readonly partial = new Uint8Array(BLOCK);
  private filled = 0;
  /** Bytes taken so far; the place of the current block, for messages. */
  private at = 0;
  private headers = 0;
  private zeroBlocks = 0;

  private readonly extensions: TarExtensions;
  private raw: RawHeader | undefined;
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
  ) {
    this.extensions = new TarExtensions(limits.headerBytes);
  }

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

  /** Bytes taken so far: where the data begins of a file that the sink was just told of. */
  get position(): number {
    return this.at + this.filled;
  }

  /**
   * Passes over the data of the file that the sink was just told of, which is then at its end
   * without having got any.
   * @returns how many bytes the caller has to leave out, 0 when there is nothing to pass over
   */
  skipData(): number {
    if (this.state !== "data") return 0;
    const count = this.remaining + this.padding;
    this.at += count;
    this.remaining = 0;
    this.padding = 0;
    this.endData();
    return count;
  }

  /** The archive's end was seen; what follows means nothing. */
  get ended(): boolean {
    return this.state === "end";
  }

  /** There is no more. An archive may end without its two blocks of zeroes, but between members only. */
  end(): void {
    if (this.state === "end") return;
    if (this.at === 0 && this.filled === 0) throw new TarError("the tar archive is empty");
    if (this.state !== "header" || this.filled !== 0 || this.extensions.pending) throw truncated();
    this.state = "end";
  }

  private takeBlock(block: Uint8Array): void {
    const at = this.at;
    this.at += BLOCK;
    switch (this.state) {
      case "extension":
        if (!this.extensions.add(block)) this.state = "header";
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
        if (segments !== undefined) this.startFile(segments, this.sparseSize());
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
    if (isExtension(raw.type)) {
      if (this.extensions.begin(raw, at)) this.state = "extension";
    } else this.startEntry(raw, block, at);
  }

  private sparseSize(): number {
    return this.extensions.sparseSize() ?? -1;
  }

  private startEntry(header: RawHeader, block: Uint8Array, at: number): void {
    const raw = this.extensions.apply(header, at);
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
        `the tar archive has a member of type ${JSON.stringify(raw.type)} at byte ${at}, which is not supported: ${quoteName(raw.path)}`,
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
    if (this.extensions.record("GNU.sparse.major") !== undefined) {
      if (
        this.extensions.integer("GNU.sparse.major") !== 1 ||
        this.extensions.integer("GNU.sparse.minor") !== 0
      )
        throw new TarError(`the tar archive has an unknown sparse format at byte ${at}`);
      this.paxSparse = new PaxSparseReader(at);
      this.state = "sparse-pax";
      return;
    }
    const segments = paxSparseSegments(this.extensions.records, at);
    if (segments !== undefined) this.startFile(segments, this.sparseSize());
    else if (this.sparseSize() >= 0) this.startFile([], this.sparseSize());
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
    const mtime = this.extensions.mtime();
    this.sink.entry({
      type,
      path: this.extensions.sparseName() ?? raw.path,
      linkTarget: raw.linkTarget,
      mode: raw.mode & 0o7777,
      uid: raw.uid,
      gid: raw.gid,
      size,
      mtime: mtime?.seconds ?? raw.mtime,
      mtimeNanoseconds: mtime?.nanoseconds ?? 0,
      devMajor: raw.devMajor,
      devMinor: raw.devMinor,
      xattrs: this.extensions.xattrs(),
    });
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
