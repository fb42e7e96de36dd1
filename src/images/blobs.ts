/**
 * Layers as registries have them, compressed, and the manifests that name them: with both, an image
 * is pushed and saved as it came. One that was made here has them, too (place_image.ts).
 */
import { MydockerError } from "../errors.ts";
import { decodeBytes } from "../ffi/bytes.ts";
import { isErrno } from "../ffi/call.ts";
import { readDirectory } from "../linux/directory.ts";
import { AT_FDCWD, close, flock, LOCK_SH, O, open } from "../linux/fd.ts";
import {
  ifExists,
  link,
  makeDirectories,
  readFileBytes,
  statIfExists,
  unlinkIfExists,
} from "../linux/file.ts";
import { syncDirectory } from "../linux/replace_file.ts";
import { lockFile } from "../staging/locks.ts";
import { type StoreLayout, sha256Hex } from "./layout.ts";

/** A manifest that an image came with. */
export interface StoredManifest {
  /** `sha256:…` of its bytes. */
  readonly digest: string;
  readonly bytes: Uint8Array;
  /** Digests of its layers, the lowest first. */
  readonly blobs: readonly string[];
}

/** The manifests of an image whose bytes have the digest that they are called by; unsorted. */
export function storedManifests(
  layout: StoreLayout,
  id: string,
  directory = layout.manifests(id),
): StoredManifest[] {
  return (ifExists(() => readDirectory(directory)) ?? []).flatMap((file) => {
    const bytes = ifExists(() => readFileBytes(`${directory}/${file}`));
    if (bytes === undefined || `${sha256Hex(bytes)}.json` !== file) return [];
    // It was checked before it was stored (parseManifest).
    const { layers }: { layers: readonly { digest: string }[] } = JSON.parse(decodeBytes(bytes));
    const digest = `sha256:${file.slice(0, -".json".length)}`;
    return [{ digest, bytes, blobs: layers.map((layer) => layer.digest) }];
  });
}

/** Bytes of a blob that is here. */
export function blobSize(layout: StoreLayout, digest: string): number | undefined {
  return statIfExists(layout.blob(digest))?.size;
}

/** Keeps a blob from being removed until the result is disposed of; undefined when it is not here. */
export function holdBlob(layout: StoreLayout, digest: string): Disposable | undefined {
  return lockFile(layout.blob(digest), LOCK_SH);
}

/**
 * Moves a blob to its place, unless it is there. Its bytes were checked, and are written out.
 * @param path the file, on the store's file system; it may be one that others place as well
 * @returns a lock that keeps it there: dispose of it when an image that uses it is in place
 */
export function placeBlob(layout: StoreLayout, digest: string, path: string): Disposable {
  makeDirectories(layout.blobs);
  for (;;) {
    const held = holdBlob(layout, digest);
    if (held !== undefined) return held;
    const fd = ifExists(() => open(path, O.O_RDONLY | O.O_NOFOLLOW));
    if (fd === undefined) {
      if (statIfExists(layout.blob(digest)) !== undefined) continue; // another process has placed it
      throw new MydockerError(`the blob ${digest} was removed before it was in its place`);
    }
    try {
      flock(fd, LOCK_SH);
      link(AT_FDCWD, path, AT_FDCWD, layout.blob(digest));
      unlinkIfExists(path);
      syncDirectory(layout.blobs);
      return { [Symbol.dispose]: () => close(fd) };
    } catch (error) {
      close(fd);
      if (!isErrno(error, "ENOENT", "EEXIST")) throw error;
    }
  }
}
