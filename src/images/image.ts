/** An image of the store, and what may be wrong with it. */
import { MydockerError } from "../errors.ts";
import type { ImageConfig } from "./image_config.ts";
import { hexOf } from "./layout.ts";

/** An image that is here, all its layers with it. */
export interface Image {
  /** `sha256:…`, the digest of the configuration's bytes. */
  readonly id: string;
  readonly config: ImageConfig;
  /** Absolute paths of the layers' directories, the lowest first. */
  readonly layers: readonly string[];
  /** Names as Docker shows them, sorted. Reads the names' directory. */
  readonly references: readonly string[];
  /** RFC 3339; empty when the image does not say. */
  readonly created: string;
  /** Bytes of data in its layers. Reads a file for each layer. */
  readonly size: number;
}

/** An image whose files are not what they should be. Others are not affected. */
export class DamagedImageError extends MydockerError {
  override readonly name = "DamagedImageError";
}

/** An error that says what is wrong, and how to get rid of it. */
export function damaged(id: string, what: string, cause?: unknown): DamagedImageError {
  return new DamagedImageError(`the image ${id} is damaged: ${what}`, {
    cause,
    hint: `mydocker rmi -f ${hexOf(id).slice(0, 12)}, then pull, load or import it again`,
  });
}
