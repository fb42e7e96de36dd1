/** Layers: making one from a tar, putting it in its place, what is known of it. */

import { MydockerError } from "../errors.ts";
import { decodeBytes } from "../ffi/bytes.ts";
import { isErrno } from "../ffi/call.ts";
import { close, flock, LOCK_SH, O, open } from "../linux/fd.ts";
import { readFileBytes, rename } from "../linux/file.ts";
import { syncDirectory } from "../linux/replace_file.ts";
import { lockDirectory } from "../staging/locks.ts";
import type { StagedLayer } from "./layer_writer.ts";
import type { StoreLayout } from "./layout.ts";

/**
 * Moves a layer to its place, unless the same one is there.
 * @returns a lock that keeps it there: dispose of it when an image that uses the layer is in place
 */
export function placeLayer(layout: StoreLayout, diffId: string, staged: StagedLayer): Disposable {
  const path = layout.layer(diffId);
  const fd = open(staged.path, O.O_RDONLY | O.O_DIRECTORY);
  try {
    flock(fd, LOCK_SH);
    for (;;) {
      try {
        rename(staged.path, path);
        syncDirectory(layout.layers);
        return { [Symbol.dispose]: () => close(fd) };
      } catch (error) {
        if (!isErrno(error, "EEXIST", "ENOTEMPTY")) throw error;
      }
      const held = lockDirectory(path, LOCK_SH);
      if (held !== undefined) {
        close(fd);
        return held;
      }
    }
  } catch (error) {
    close(fd);
    throw error;
  }
}

/** Bytes of data in a layer. */
export function layerSize(layout: StoreLayout, diffId: string): number {
  const path = layout.layerInfo(diffId);
  try {
    const info: unknown = JSON.parse(decodeBytes(readFileBytes(path)));
    if (
      typeof info === "object" &&
      info !== null &&
      "size" in info &&
      typeof info.size === "number"
    )
      return info.size;
    throw new TypeError("no size in it");
  } catch (error) {
    throw new MydockerError(
      `the layer ${diffId} is damaged: cannot read ${path}: ${error instanceof Error ? error.message : error}`,
      {
        cause: error,
      },
    );
  }
}
