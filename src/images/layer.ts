/** Layers: making one from a tar, putting it in its place, what is known of it. */

import { MydockerError } from "../errors.ts";
import { decodeBytes } from "../ffi/bytes.ts";
import { isErrno } from "../ffi/call.ts";
import { close, flock, LOCK_SH, O, open, syncfs } from "../linux/fd.ts";
import { mkdir, readFileBytes, rename } from "../linux/file.ts";
import { fchmod } from "../linux/file_metadata.ts";
import { replaceFile, syncDirectory } from "../linux/replace_file.ts";
import type { StoreLayout } from "./layout.ts";
import { lockDirectory } from "./locks.ts";
import type { Staging } from "./staging.ts";
import { TarReader } from "./tar.ts";
import { type Unpacked, Unpacker } from "./unpack.ts";

/** A layer that is complete, in a staging directory. */
export interface StagedLayer extends Unpacked {
  readonly path: string;
}

/** Unpacks a layer into a staging directory, from a source that hands over its bytes by calling `push`. */
export class LayerWriter implements Disposable {
  private readonly path: string;
  private readonly fd: number;
  private readonly unpacker: Unpacker;
  private readonly reader: TarReader;

  /** @param durability `"files"`: fsync(2) each file, for a small layer; `"all"`: syncfs(2) at the end */
  constructor(
    staging: Staging,
    private readonly durability: "files" | "all",
  ) {
    this.path = `${staging.path}/layer`;
    mkdir(this.path, 0o700);
    mkdir(`${this.path}/diff`, 0o755);
    this.fd = open(`${this.path}/diff`, O.O_RDONLY | O.O_DIRECTORY);
    // The container's "/", if the archive does not say otherwise; umask may have taken some of it.
    fchmod(this.fd, 0o755);
    this.unpacker = new Unpacker(this.fd, { syncFiles: durability === "files" });
    this.reader = new TarReader(this.unpacker);
  }

  push(chunk: Uint8Array): void {
    this.reader.push(chunk);
  }

  /** The archive's end was seen. */
  get ended(): boolean {
    return this.reader.ended;
  }

  end(): StagedLayer {
    this.reader.end();
    const unpacked = this.unpacker.finish();
    replaceFile(`${this.path}/layer.json`, `${JSON.stringify({ size: unpacked.size })}\n`, {
      durable: this.durability === "files",
    });
    if (this.durability === "all") syncfs(this.fd);
    return { ...unpacked, path: this.path };
  }

  [Symbol.dispose](): void {
    this.unpacker[Symbol.dispose]();
    close(this.fd);
  }
}

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
