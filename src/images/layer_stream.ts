/** A layer's bytes, as they arrive: unpacked, and the tar inside hashed. */
import type { ChunkSource } from "./chunk_source.ts";
import { readArchive } from "./decompress.ts";
import { LayerWriter, type StagedLayer } from "./layer_writer.ts";
import { TarError } from "./tar_header.ts";

/** What GNU tar fills an archive up with is at most 1 MiB of zeroes (a blocking factor of 2048). */
const TRAILING_LIMIT = 64 * 2 ** 20;

/** A layer that was unpacked. */
export interface UnpackedLayer extends StagedLayer {
  /** `sha256:…` of the uncompressed tar. */
  readonly diffId: string;
}

/** Unpacks a layer, compressed or not, into the directory `name` of `staging`. */
export async function unpackLayer(
  source: ChunkSource,
  staging: { readonly path: string },
  name: string,
): Promise<UnpackedLayer> {
  using writer = new LayerWriter(staging, "none", name);
  const hasher = new Bun.CryptoHasher("sha256");
  let trailing = 0;
  await readArchive(source, (chunk) => {
    hasher.update(chunk);
    if (writer.ended) trailing += chunk.length;
    else writer.push(chunk);
    if (trailing > TRAILING_LIMIT)
      throw new TarError(
        `the tar archive goes on for more than ${TRAILING_LIMIT >> 20} MiB after its end`,
      );
  });
  return { ...writer.end(), diffId: `sha256:${hasher.digest("hex")}` };
}
