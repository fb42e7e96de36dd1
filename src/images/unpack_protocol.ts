/** What a process that unpacks layers is told on its standard input, and says on its output: JSON, a line each. */

/** A layer to unpack. */
export interface UnpackJob {
  /** The compressed layer: a file that may still grow. */
  readonly path: string;
  /** Bytes that it has in the end. */
  readonly size: number;
  /** The directory to make the layer's in, and its name. */
  readonly parent: string;
  readonly name: string;
}

/** How it goes, and how it went. */
export type UnpackAnswer =
  | { readonly kind: "progress"; readonly bytes: number }
  | {
      readonly kind: "done";
      /** `sha256:…` of the uncompressed tar. */
      readonly diffId: string;
      readonly size: number;
      readonly entries: number;
      readonly path: string;
      readonly warnings: readonly string[];
    }
  | { readonly kind: "failed"; readonly message: string; readonly hint?: string };

/** The word that makes the executable such a process. */
export const UNPACK_STAGE = "internal-unpack";
