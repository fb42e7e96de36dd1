/** Where the bytes of an archive or a blob come from: a descriptor, a part of a file, a stream. */
import { MydockerError } from "../errors.ts";
import { SysError } from "../ffi/call.ts";
import { errnoText } from "../ffi/errno.ts";
import { pread, read } from "../linux/fd.ts";

/** Bytes, chunk by chunk. */
export interface ChunkSource {
  /**
   * The next bytes; none at the end.
   * @param kept whether they are used after the next call: then they may not be overwritten by it
   */
  next(kept: boolean): Uint8Array | Promise<Uint8Array>;
}

/** Bytes that are read at a time when they go to a decompressor, which keeps them for a while. */
const KEPT_CHUNK = 65536;
/** Otherwise, where a chunk is written as it is. */
const CHUNK = 1 << 20;

/** What reads for a source by blocking calls. */
abstract class ReadingSource implements ChunkSource {
  private buffer: Uint8Array | undefined;

  next(kept: boolean): Uint8Array {
    if (kept) return this.fill(new Uint8Array(KEPT_CHUNK));
    this.buffer ??= new Uint8Array(CHUNK);
    return this.fill(this.buffer);
  }

  private fill(into: Uint8Array): Uint8Array {
    try {
      return into.subarray(0, this.read(into));
    } catch (error) {
      if (!(error instanceof SysError)) throw error;
      throw new MydockerError(`cannot read the archive: ${errnoText(error.errno)}`, {
        cause: error,
      });
    }
  }

  protected abstract read(into: Uint8Array): number;
}

/** A descriptor, read to its end by blocking calls; may be a pipe. */
export class DescriptorSource extends ReadingSource {
  constructor(private readonly fd: number) {
    super();
  }

  protected read(into: Uint8Array): number {
    return read(this.fd, into);
  }
}

/** A part of a file; its descriptor's position is left alone. */
export class RangeSource extends ReadingSource {
  private left: number;

  constructor(
    private readonly fd: number,
    private offset: number,
    length: number,
  ) {
    super();
    this.left = length;
  }

  protected read(into: Uint8Array): number {
    const count = pread(this.fd, into.subarray(0, this.left), this.offset);
    this.offset += count;
    this.left -= count;
    return count;
  }
}

/** Chunks of somebody else's, such as a response's body; each is its own. */
export class StreamSource implements ChunkSource {
  private readonly chunks: AsyncIterator<Uint8Array>;

  constructor(chunks: AsyncIterable<Uint8Array>) {
    this.chunks = chunks[Symbol.asyncIterator]();
  }

  async next(): Promise<Uint8Array> {
    for (;;) {
      const { done, value } = await this.chunks.next();
      if (done === true) return new Uint8Array(0);
      if (value.length > 0) return value;
    }
  }
}
