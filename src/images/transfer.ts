/** What `pull` and `push` tell while they work: who shows it is another matter. */

/** Where a layer is, in Docker's words. */
export type LayerStatus =
  | "Pulling fs layer"
  | "Waiting"
  | "Downloading"
  | "Verifying Checksum"
  | "Download complete"
  | "Extracting"
  | "Pull complete"
  | "Already exists"
  | "Retrying"
  | "Preparing"
  | "Pushing"
  | "Pushed"
  | "Layer already exists"
  | `Mounted from ${string}`;

/** A step. */
export type TransferEvent =
  | { readonly kind: "message"; readonly text: string }
  | {
      readonly kind: "layer";
      /** 12 digits. */
      readonly id: string;
      readonly status: LayerStatus;
      /** Bytes done, and in all. */
      readonly current?: number;
      readonly total?: number;
    };

/** Who is told. */
export type TransferListener = (event: TransferEvent) => void;

/** The 12 digits that stand for a digest. */
export const shortDigest = (digest: string): string => digest.replace(/^[^:]*:/, "").slice(0, 12);
