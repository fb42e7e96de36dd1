/**
 * The image inside the executable, so that the first `run` needs no network: Debian's static
 * busybox. `build/default_image.ts` makes both files.
 */

import metadata from "./default/image.json";
import layerPath from "./default/rootfs.tar.zst" with { type: "file" };

/** What the build says of the image that it made. */
export interface DefaultImage {
  /** What the image is stored as: `busybox:latest`. */
  readonly reference: string;
  /** The image configuration of the OCI image specification. */
  readonly config: DefaultImageConfig;
  /** From the lowest up. */
  readonly layers: readonly DefaultImageLayer[];
  /** The version of Debian's busybox-static. */
  readonly packageVersion: string;
  /** The names of its commands, sorted, without busybox itself. */
  readonly applets: readonly string[];
}

/** As in `image_config.ts`, with the fields that the build writes. */
export interface DefaultImageConfig {
  readonly created: string;
  readonly architecture: string;
  readonly os: string;
  readonly config: { readonly Env: readonly string[]; readonly Cmd: readonly string[] };
  readonly rootfs: { readonly type: string; readonly diff_ids: readonly string[] };
  readonly history: readonly { readonly created: string; readonly created_by: string }[];
}

/** A layer of the image, as it is before compression. */
export interface DefaultImageLayer {
  /** Digest of the uncompressed tar, `sha256:…`. */
  readonly diffId: string;
  /** Bytes of the uncompressed tar. */
  readonly size: number;
}

/** Part of the program's code: nothing is read for it. */
export const defaultImage: DefaultImage = metadata;

/** The path Bun knows the compressed layer by; inside the executable no system call finds it. */
export function defaultImageLayerPath(): string {
  return layerPath;
}

/**
 * The default image's only layer: a tar, compressed with zstd.
 *
 * Synchronous, and without node:fs, which takes 3 ms to load: inside the executable the bytes are
 * in memory, so that the promise is fulfilled as soon as it is made. It is not when the program
 * runs from its sources.
 */
export function readDefaultImageLayer(): Uint8Array {
  const bytes = Bun.peek(Bun.file(layerPath).bytes());
  return bytes instanceof Promise
    ? process.getBuiltinModule("node:fs").readFileSync(layerPath)
    : bytes;
}
