/** Writing a layer's blob: what registries and archives carry, a tar that is compressed or not. */
import { close, O, open, writeAll } from "../linux/fd.ts";

/** A file that is written once, hashed and counted on the way. */
export class BlobWriter implements Disposable {
  private readonly hasher = new Bun.CryptoHasher("sha256");
  private fd: number | undefined;
  /** Bytes until now. */
  size = 0;

  /** @param path where nothing is yet */
  constructor(private readonly path: string) {
    this.fd = open(path, O.O_WRONLY | O.O_CREAT | O.O_EXCL, 0o600);
  }

  write(chunk: Uint8Array): void {
    if (this.fd === undefined) throw new TypeError("the blob is closed");
    this.hasher.update(chunk);
    writeAll(this.fd, chunk, this.path);
    this.size += chunk.length;
  }

  /** Closes it. @returns its digest */
  end(): string {
    this[Symbol.dispose]();
    return `sha256:${this.hasher.digest("hex")}`;
  }

  [Symbol.dispose](): void {
    if (this.fd !== undefined) close(this.fd);
    this.fd = undefined;
  }
}

/** Bytes that are compressed at a time, each a frame of its own (RFC 8878, 3.1: frames follow each other). */
const FRAME = 1 << 20;
/** Frames that other threads compress meanwhile. */
const IN_FLIGHT = 2;
/** Level 1 is twice as fast as the usual 3, and what it makes is a tenth larger. */
const LEVEL = 1;

/**
 * Compresses what arrives as it is, with zstd on other threads, while it is unpacked. The bytes
 * depend on nothing but what comes in, whatever the pieces.
 */
export class BlobCompressor {
  private frame = new Uint8Array(FRAME);
  private filled = 0;
  private readonly frames: Promise<Uint8Array>[] = [];

  constructor(private readonly blob: BlobWriter) {}

  /** Takes bytes, which are copied. Resolves when there is room for more. */
  async write(chunk: Uint8Array): Promise<void> {
    for (let from = 0; from < chunk.length; ) {
      const count = Math.min(FRAME - this.filled, chunk.length - from);
      this.frame.set(chunk.subarray(from, from + count), this.filled);
      this.filled += count;
      from += count;
      if (this.filled === FRAME) await this.flush(IN_FLIGHT);
    }
  }

  /** Writes what is left. */
  async end(): Promise<void> {
    await this.flush(0);
  }

  private async flush(inFlight: number): Promise<void> {
    if (this.filled > 0) {
      const frame = Bun.zstdCompress(this.frame.subarray(0, this.filled), { level: LEVEL });
      frame.catch(() => {}); // awaited below, unless something else fails first
      this.frames.push(frame);
      this.frame = new Uint8Array(FRAME);
      this.filled = 0;
    }
    while (this.frames.length > inFlight) {
      const frame = this.frames.shift();
      if (frame !== undefined) this.blob.write(await frame);
    }
  }
}
