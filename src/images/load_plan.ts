/** What an archive of images says is in it, read and checked before any of it is stored. */
import { MydockerError } from "../errors.ts";
import type { ImageConfig } from "./image_config.ts";
import { parseReference, type Reference, withDefaultTag } from "./reference.ts";
import { quoteName } from "./tar_header.ts";

/** A layer of an image in an archive. */
export interface PlannedLayer {
  /** What the archive calls it. */
  readonly file: string;
  /** From the image's configuration. */
  readonly diffId: string;
  /** `sha256:…` of the file, if the archive says it. */
  readonly digest?: string | undefined;
  /** Bytes of the file, if the archive says it. */
  readonly size?: number | undefined;
}

/** An image in an archive. */
export interface PlannedImage {
  /** `sha256:…` */
  readonly id: string;
  /** Byte for byte. */
  readonly config: Uint8Array;
  readonly names: readonly Reference[];
  readonly layers: readonly PlannedLayer[];
  /** The manifest that it comes with, byte for byte. */
  readonly manifest?: Uint8Array | undefined;
}

/** An archive that does not say what it should. */
export class ArchiveError extends MydockerError {
  override readonly name = "ArchiveError";
}

/** Lower directories that overlayfs takes (fs/overlayfs/params.h, OVL_MAX_STACK). */
const LAYER_LIMIT = 500;

/** What an image must be to be loaded here. @param what it is called in messages */
export function checkLoadable(config: ImageConfig, what: string): void {
  if (config.os !== "linux")
    throw new ArchiveError(`${what} is for ${quoteName(config.os)}, and not for linux`);
  const count = config.rootfs.diff_ids.length;
  if (count > LAYER_LIMIT)
    throw new ArchiveError(
      `${what} has ${count} layers, and overlayfs takes no more than ${LAYER_LIMIT}`,
    );
}

/** A name that an archive gives to an image. @throws {InvalidReferenceError} in Docker's words */
export function archivedName(text: string): Reference {
  const reference = withDefaultTag(parseReference(text));
  if (reference.digest !== undefined)
    throw new ArchiveError(`the archive gives an image a digest for a name: ${quoteName(text)}`);
  return reference;
}

/** Whether a value of JSON is an object. */
export const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);
