/** `history`: how an image's layers came to be. */
import type { Image } from "./image.ts";
import { layerSize } from "./layer.ts";
import type { ImageStore } from "./store.ts";

/** One step, the newest first. */
export interface HistoryStep {
  /** The image's id for the newest step; what an image was called halfway is not on record. */
  readonly id: string | undefined;
  /** RFC 3339; empty when it is not on record */
  readonly created: string;
  readonly createdBy: string;
  readonly comment: string;
  /** Bytes of data in the step's layer; 0 for a step without one. */
  readonly size: number;
}

/**
 * The steps of an image. Layers that its history does not tell of are steps about which nothing is
 * known; a history of more steps with layers than there are layers is cut short.
 */
export function imageHistory(store: ImageStore, image: Image): HistoryStep[] {
  const layers = image.config.rootfs.diff_ids.map((diffId) => layerSize(store.layout, diffId));
  const steps: Omit<HistoryStep, "id">[] = [];
  let next = 0;
  for (const step of image.config.history ?? []) {
    const hasLayer = step.empty_layer !== true;
    if (hasLayer && next >= layers.length) break;
    steps.push({
      created: step.created ?? "",
      createdBy: step.created_by ?? "",
      comment: step.comment ?? "",
      size: hasLayer ? (layers[next++] ?? 0) : 0,
    });
  }
  for (const size of layers.slice(next))
    steps.push({ created: "", createdBy: "", comment: "", size });
  return steps
    .reverse()
    .map((step, index) => ({ ...step, id: index === 0 ? image.id : undefined }));
}
