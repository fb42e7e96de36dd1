/**
 * The bytes of an archive, decompressed as they are read, with bounded memory.
 *
 * DecompressionStream works on another thread, notices a truncated end of gzip and of zstd, takes
 * several members and frames one after the other, and stays at 70 MB whatever comes out of it
 * (docs/decisions/tar-and-decompression.md has the numbers).
 */
import { MydockerError } from "../errors.ts";
import type { ChunkSource } from "./chunk_source.ts";
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

/** How {@link readArchive} reads. */
export interface ReadOptions {
  readonly limits?: ExpansionLimits | undefined;
  /** Is given the bytes as they come, compressed or not, before they are taken apart. */
  readonly raw?: (chunk: Uint8Array, compression: Compression) => void;
}

/** The first chunk, at least as long as a magic, if there is that much. */
async function firstChunk(source: ChunkSource): Promise<Uint8Array> {
  let first = await source.next(true);
  while (first.length < MAGIC_LENGTH) {
    const more = await source.next(true);
    if (more.length === 0) break;
    const joined = new Uint8Array(first.length + more.length);
    joined.set(first);
    joined.set(more, first.length);
    first = joined;
  }
  return first;
}

/**
 * Hands the archive's bytes, decompressed, to `take`, chunk by chunk; `take` must be done with a
 * chunk when what it returns is settled. What `take` throws ends it.
 * @param source read to its end
 * @returns how it was compressed
 * @throws {TarError} when the data is damaged or expands beyond the limits
 */
export async function readArchive(
  source: ChunkSource,
  take: (chunk: Uint8Array) => void | Promise<void>,
  { limits = EXPANSION_LIMITS, raw }: ReadOptions = {},
): Promise<Compression> {
  const first = await firstChunk(source);
  const compression = detectCompression(first);
  let read = 0;
  const seen = (chunk: Uint8Array) => {
    read += chunk.length;
    raw?.(chunk, compression);
  };
  let total = 0;
  const count = (chunk: Uint8Array) => {
    total += chunk.length;
    if (total > limits.bytes)
      throw new TarError(`the archive is larger than ${limits.bytes} bytes`);
    if (compression !== "none" && total > limits.freeBytes && total > read * limits.ratio)
      throw new TarError(
        `the archive expands to more than ${limits.ratio} times its size, as only a decompression bomb does`,
        { hint: "if it is meant to, decompress it yourself and import the tar" },
      );
    return take(chunk);
  };
  if (compression !== "none") {
    await decompress(compression, first, source, seen, count);
    return compression;
  }
  for (let chunk = first; chunk.length > 0; ) {
    seen(chunk);
    const taken = count(chunk);
    if (taken !== undefined) await taken;
    const next = source.next(false);
    chunk = next instanceof Promise ? await next : next;
  }
  return compression;
}

async function decompress(
  format: "gzip" | "zstd",
  first: Uint8Array,
  source: ChunkSource,
  seen: (chunk: Uint8Array) => void,
  take: (chunk: Uint8Array) => void | Promise<void>,
): Promise<void> {
  const stream = new DecompressionStream(format);
  const writer = stream.writable.getWriter();
  const reader = stream.readable.getReader();
  let sourceError: unknown;
  const feed = async () => {
    try {
      for (let chunk = first; chunk.length > 0; chunk = await source.next(true)) {
        seen(chunk);
        await writer.write(chunk as Uint8Array<ArrayBuffer>);
      }
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
      const taken = take(next.value);
      if (taken !== undefined) await taken;
    }
  } catch (error) {
    await reader.cancel(error).catch(() => {});
    throw error;
  } finally {
    await fed;
  }
}
