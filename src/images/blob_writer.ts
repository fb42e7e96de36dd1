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

/** Bytes that are compressed at a time, each a member of its own (RFC 1952, 2.2: members follow each other). */
const MEMBER = 1 << 20;
/** Members that other threads compress meanwhile. */
const IN_FLIGHT = 4;
/** docs/decisions/layer-blobs.md has the numbers. */
const LEVEL = 1;
/**
 * Room for any member's gzip: with less, zlib stops when it is full (after 16 KiB by default) until
 * this thread, which is busy unpacking, has taken it.
 */
const OUTPUT = MEMBER + (64 << 10);

/**
 * Compresses what arrives as it is, with gzip on other threads, while it is unpacked. The bytes
 * depend on nothing but what comes in, whatever the pieces.
 */
export class BlobCompressor {
  private member = new Uint8Array(0);
  private filled = 0;
  private readonly members: {
    readonly from: Uint8Array<ArrayBuffer>;
    gzip: Promise<Uint8Array>;
  }[] = [];
  /** What members were read from that are compressed. */
  private readonly free: Uint8Array<ArrayBuffer>[] = [];

  constructor(private readonly blob: BlobWriter) {}

  /** Takes bytes, which are copied. Resolves when there is room for more. */
  async write(chunk: Uint8Array): Promise<void> {
    for (let from = 0; from < chunk.length; ) {
      // Other threads read the last ones.
      if (this.filled === 0) this.member = this.free.pop() ?? new Uint8Array(MEMBER);
      const count = Math.min(MEMBER - this.filled, chunk.length - from);
      this.member.set(chunk.subarray(from, from + count), this.filled);
      this.filled += count;
      from += count;
      if (this.filled === MEMBER) await this.flush(IN_FLIGHT);
    }
  }

  /** Writes what is left. */
  async end(): Promise<void> {
    await this.flush(0);
  }

  private async flush(inFlight: number): Promise<void> {
    if (this.filled > 0) {
      const member = gzip(this.member.subarray(0, this.filled));
      member.catch(() => {}); // awaited below, unless something else fails first
      this.members.push({ from: this.member, gzip: member });
      this.filled = 0;
    }
    while (this.members.length > inFlight) {
      const member = this.members.shift();
      if (member === undefined) return;
      this.blob.write(await member.gzip);
      this.free.push(member.from);
    }
  }
}

function gzip(bytes: Uint8Array): Promise<Uint8Array> {
  // It takes 3 ms to load, which a layer that comes compressed need not pay.
  const zlib = process.getBuiltinModule("node:zlib");
  const { promise, resolve, reject } = Promise.withResolvers<Uint8Array>();
  zlib.gzip(bytes, { level: LEVEL, chunkSize: OUTPUT }, (error, result) =>
    error ? reject(error) : resolve(result),
  );
  return promise;
}
