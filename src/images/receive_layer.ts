/** A layer on its way into the store: hashed, decompressed and unpacked while it arrives. */
import { MydockerError } from "../errors.ts";
import type { Staging } from "../staging/staging.ts";
import { BlobCompressor, BlobWriter } from "./blob_writer.ts";
import type { ChunkSource } from "./chunk_source.ts";
import { type Compression, type ExpansionLimits, readArchive } from "./decompress.ts";
import { LayerWriter, type StagedLayer } from "./layer_writer.ts";
import { TarError } from "./tar_header.ts";

/** What is known of a layer before it is here. What is absent is not checked. */
export interface LayerExpectation {
  /** `sha256:…` of the blob, compressed as it comes. */
  readonly digest?: string | undefined;
  /** Bytes of the blob. */
  readonly size?: number | undefined;
  /** `sha256:…` of the tar in it. */
  readonly diffId?: string | undefined;
}

/** The blob that is kept of a layer, in a staging directory. */
export interface ReceivedBlob {
  readonly path: string;
  /** `sha256:…` */
  readonly digest: string;
  /** bytes */
  readonly size: number;
  readonly compression: Compression;
}

/** A layer that is complete and is what it was expected to be, in a staging directory. */
export interface ReceivedLayer extends StagedLayer {
  readonly diffId: string;
  readonly blob: ReceivedBlob;
}

/** A blob or a layer that is not what its manifest says. */
export class DigestError extends MydockerError {
  override readonly name = "DigestError";
}

/** What GNU tar fills an archive up with is at most 1 MiB of zeroes (a blocking factor of 2048). */
const TRAILING_LIMIT = 64 * 2 ** 20;

/**
 * Unpacks a layer from a stream, and keeps the blob as it came; one that is not compressed is kept
 * compressed with gzip (docs/decisions/layer-blobs.md). Memory is bounded whatever comes.
 * @param staging several layers may be received into one at the same time
 * @param name of the layer in `staging`
 * @param durability `"none"`: whoever places the layer writes it out before, with others at once
 * @throws {DigestError}
 * @throws {TarError} for an archive that is damaged or tries to write elsewhere
 */
export async function receiveLayer(
  staging: Staging,
  name: string,
  source: ChunkSource,
  expected: LayerExpectation = {},
  limits?: ExpansionLimits,
  durability: "all" | "none" = "all",
): Promise<ReceivedLayer> {
  using writer = new LayerWriter(staging, durability, name);
  const tar = new Bun.CryptoHasher("sha256");
  const blobPath = `${staging.path}/${name}.blob`;
  using blob = new BlobWriter(blobPath);
  const compressor = new BlobCompressor(blob);
  let size = 0;
  let trailing = 0;
  let plain: boolean | undefined;
  const take = (chunk: Uint8Array) => {
    tar.update(chunk);
    if (writer.ended) trailing += chunk.length;
    else writer.push(chunk);
    if (trailing > TRAILING_LIMIT)
      throw new TarError(
        `the tar archive goes on for more than ${TRAILING_LIMIT >> 20} MiB after its end`,
      );
    return plain === true ? compressor.write(chunk) : undefined;
  };
  const compression: Compression = await readArchive(source, take, {
    limits,
    raw(chunk, format) {
      plain = format === "none";
      size += chunk.length;
      if (expected.size !== undefined && size > expected.size)
        throw new DigestError(
          `${what(expected)} is larger than the ${expected.size} bytes that its manifest says`,
        );
      if (!plain) blob.write(chunk);
    },
  });
  await compressor.end();
  const digest = blob.end();
  const diffId = `sha256:${tar.digest("hex")}`;
  if (expected.size !== undefined && size !== expected.size)
    throw new DigestError(
      `${what(expected)} has ${size} bytes, and not the ${expected.size} that its manifest says`,
    );
  const cameAs = plain === true ? diffId : digest;
  if (expected.digest !== undefined && cameAs !== expected.digest)
    throw new DigestError(
      `${what(expected)} is not what its digest says: its bytes have ${cameAs}`,
    );
  if (expected.diffId !== undefined && diffId !== expected.diffId)
    throw new DigestError(
      `the layer ${expected.diffId} is not what its digest says: its tar has ${diffId}`,
    );
  return {
    ...writer.end(),
    diffId,
    blob: {
      path: blobPath,
      digest,
      size: blob.size,
      compression: plain === true ? "gzip" : compression,
    },
  };
}

const what = ({ digest, diffId }: LayerExpectation): string =>
  digest !== undefined
    ? `the blob ${digest}`
    : diffId !== undefined
      ? `the layer ${diffId}`
      : "the layer";
