/**
 * The bytes of an archive, decompressed as they are read, with bounded memory.
 *
 * DecompressionStream works on another thread, notices a truncated end of gzip and of zstd, takes
 * several members and frames one after the other, and stays at 70 MB whatever comes out of it
 * (docs/decisions/tar-and-decompression.md has the numbers).
 */
import { MydockerError } from "../errors.ts";
import { SysError } from "../ffi/call.ts";
import { errnoText } from "../ffi/errno.ts";
import { read } from "../linux/fd.ts";
import { TarError } from "./tar_header.ts";

/** How the bytes of an archive are compressed. */
export type Compression = "none" | "gzip" | "zstd";

/** Bytes that files of a kind begin with (their format's specification, or file(1)'s magic). */
const MAGIC: readonly {
  readonly name: string;
  readonly bytes: readonly number[];
  readonly as?: Compression;
  /** A program that makes a tar of it. */
  readonly program?: string;
}[] = [
  { name: "gzip", bytes: [0x1f, 0x8b], as: "gzip" },
  { name: "zstd", bytes: [0x28, 0xb5, 0x2f, 0xfd], as: "zstd" },
  // A skippable frame of zstd, as pzstd and others begin with.
  ...Array.from({ length: 16 }, (_, i) => ({
    name: "zstd",
    bytes: [0x50 + i, 0x2a, 0x4d, 0x18],
    as: "zstd" as const,
  })),
  { name: "bzip2", bytes: [0x42, 0x5a, 0x68], program: "bzip2 -dc" },
  { name: "xz", bytes: [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00], program: "xz -dc" },
  { name: "lz4", bytes: [0x04, 0x22, 0x4d, 0x18], program: "lz4 -dc" },
  { name: "lzip", bytes: [0x4c, 0x5a, 0x49, 0x50], program: "lzip -dc" },
  { name: "compress", bytes: [0x1f, 0x9d], program: "gzip -dc" },
];
const MAGIC_LENGTH = 6;

/** Bytes that are read, and handed to the decompressor, at a time. */
const CHUNK = 65536;
/** For a plain tar, where a chunk is written as it is. */
const PLAIN_CHUNK = 1 << 20;

/**
 * Which compression a file has, by its first bytes.
 * @throws {MydockerError} for one that we know and do not support
 */
export function detectCompression(start: Uint8Array): Compression {
  const found = MAGIC.find(({ bytes }) => bytes.every((byte, index) => start[index] === byte));
  if (found === undefined) return "none";
  if (found.as !== undefined) return found.as;
  throw new MydockerError(`an archive compressed with ${found.name} is not supported`, {
    hint: `decompress it on the way: ${found.program} < FILE | mydocker import -`,
  });
}

/** What a compressed archive may grow to. */
export interface ExpansionLimits {
  /** Bytes in all. */
  readonly bytes: number;
  /** Bytes out for each byte in, looked at once more than `freeBytes` have come out. */
  readonly ratio: number;
  readonly freeBytes: number;
}

/** zlib makes at most 1032 bytes of one, real root file systems are at 2 to 10. */
export const EXPANSION_LIMITS: ExpansionLimits = {
  bytes: 2 ** 40,
  ratio: 200,
  freeBytes: 256 * 2 ** 20,
};

/** A descriptor as chunks; the first one is at least as long as a magic, if there is that much. */
class Source {
  /** Bytes that were read. */
  total = 0;

  constructor(private readonly fd: number) {}

  fill(buffer: Uint8Array, least: number): Uint8Array {
    let length = 0;
    while (length < least) {
      const count = this.read(buffer.subarray(length));
      if (count === 0) break;
      length += count;
    }
    this.total += length;
    return buffer.subarray(0, length);
  }

  private read(into: Uint8Array): number {
    try {
      return read(this.fd, into);
    } catch (error) {
      if (error instanceof SysError)
        throw new MydockerError(`cannot read the archive: ${errnoText(error.errno)}`, {
          cause: error,
        });
      throw error;
    }
  }
}

/**
 * Hands the archive's bytes, decompressed, to `take`, chunk by chunk; `take` must be done with a
 * chunk when it returns. What `take` throws ends it.
 * @param fd read to its end, by blocking calls; may be a pipe
 * @throws {TarError} when the data is damaged or expands beyond `limits`
 */
export async function readArchive(
  fd: number,
  take: (chunk: Uint8Array) => void,
  limits: ExpansionLimits = EXPANSION_LIMITS,
): Promise<void> {
  const source = new Source(fd);
  const first = source.fill(new Uint8Array(CHUNK), MAGIC_LENGTH);
  const compression = detectCompression(first);
  let total = 0;
  const count = (chunk: Uint8Array) => {
    total += chunk.length;
    if (total > limits.bytes)
      throw new TarError(`the archive is larger than ${limits.bytes} bytes`);
    if (compression !== "none" && total > limits.freeBytes && total > source.total * limits.ratio)
      throw new TarError(
        `the archive expands to more than ${limits.ratio} times its size, as only a decompression bomb does`,
        { hint: "if it is meant to, decompress it yourself and import the tar" },
      );
    take(chunk);
  };
  if (compression === "none") {
    const buffer = new Uint8Array(PLAIN_CHUNK);
    for (let chunk = first; chunk.length > 0; chunk = source.fill(buffer, 1)) count(chunk);
    return;
  }
  await decompress(compression, first, source, count);
}

async function decompress(
  format: "gzip" | "zstd",
  first: Uint8Array,
  source: Source,
  take: (chunk: Uint8Array) => void,
): Promise<void> {
  const stream = new DecompressionStream(format);
  const writer = stream.writable.getWriter();
  const reader = stream.readable.getReader();
  let sourceError: unknown;
  const feed = async () => {
    try {
      for (let chunk = first; chunk.length > 0; chunk = source.fill(new Uint8Array(CHUNK), 1))
        await writer.write(chunk as Uint8Array<ArrayBuffer>);
      await writer.close();
    } catch (error) {
      sourceError ??= error;
      await writer.abort(error).catch(() => {});
    }
  };
  const fed = feed();
  try {
    for (;;) {
      let next: { done: boolean; value?: Uint8Array | undefined };
      try {
        next = await reader.read();
      } catch (error) {
        if (sourceError instanceof MydockerError) throw sourceError;
        throw new TarError(
          `the ${format} data is truncated or damaged: ${error instanceof Error ? error.message : error}`,
          { cause: error },
        );
      }
      if (next.done || next.value === undefined) break;
      take(next.value);
    }
  } catch (error) {
    await reader.cancel(error).catch(() => {});
    throw error;
  } finally {
    await fed;
  }
}
