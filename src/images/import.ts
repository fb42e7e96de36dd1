/** `mydocker import`: a root file system's tar becomes an image of one layer. */
import { MydockerError } from "../errors.ts";
import { encodeBytes } from "../ffi/bytes.ts";
import { DescriptorSource } from "./chunk_source.ts";
import { collectLayers } from "./collect.ts";
import { applyChanges } from "./config_changes.ts";
import type { ExpansionLimits } from "./decompress.ts";
import { placeNewImage } from "./place_image.ts";
import { receiveLayer } from "./receive_layer.ts";
import { formatReference, parseReference, type Reference, withDefaultTag } from "./reference.ts";
import type { ImageStore } from "./store.ts";

/** What `import` may be told. */
export interface ImportOptions {
  /** `--change`: Dockerfile instructions, e.g. `CMD ["sh"]`. */
  readonly changes?: readonly string[];
  /** `--message`; Docker's own is `Imported from -`. */
  readonly message?: string;
  readonly limits?: ExpansionLimits;
  /** When the image was made; now, if absent. */
  readonly created?: Date;
}

/** What came of it. */
export interface Imported {
  /** `sha256:…` */
  readonly id: string;
  readonly reference?: Reference;
  /** What could not be kept, a line each. */
  readonly warnings: readonly string[];
}

const ARCHITECTURES: Readonly<Record<string, string>> = { x64: "amd64", arm64: "arm64" };

/**
 * Imports a tar, plain or compressed with gzip or zstd. Whiteouts (`.wh.…`) in it mean what they
 * mean in a layer, as they do to Docker.
 *
 * Nothing counts as an image until everything is written out; a crash or an error leaves nothing
 * but a directory that the next command removes.
 * @param fd the archive, read to its end
 * @param name what to call the image; it is taken from an image that has it
 * @throws {InvalidReferenceError}
 * @throws {TarError} see {@link receiveLayer}
 */
export async function importTar(
  store: ImageStore,
  fd: number,
  name?: string,
  options: ImportOptions = {},
): Promise<Imported> {
  const reference = name === undefined ? undefined : withDefaultTag(parseReference(name));
  if (reference?.digest !== undefined)
    throw new MydockerError(`cannot import as a digest: ${formatReference(reference)}`);
  const runConfig = applyChanges({}, options.changes ?? []);

  using staging = store.stage();
  collectLayers(store, staging);
  const layer = await receiveLayer(staging, "layer", new DescriptorSource(fd), {}, options.limits);
  const { diffId } = layer;
  const created = (options.created ?? new Date()).toISOString();
  const message = options.message ?? "Imported from -";
  const config = encodeBytes(
    JSON.stringify({
      created,
      architecture: ARCHITECTURES[process.arch] ?? process.arch,
      os: "linux",
      config: runConfig,
      rootfs: { type: "layers", diff_ids: [diffId] },
      history: [{ created, comment: message }],
    }),
  );
  const id = placeNewImage(store, staging, config, [layer], [], reference);
  return {
    id,
    warnings: layer.warnings,
    ...(reference === undefined ? {} : { reference }),
  };
}
