/** What containers take on disk. */
import { MydockerError } from "../errors.ts";
import { openImageStore } from "../images/store.ts";
import { treeSize } from "../linux/tree_size.ts";
import type { Paths } from "../paths.ts";
import { ContainerStore } from "./container_store.ts";
import type { ListedContainer } from "./list.ts";

/** Bytes. */
export interface ContainerSize {
  /** in its own layer */
  readonly own: number;
  /** with its image */
  readonly all: number;
}

/** Looks at one container after the other; an image is asked once for its size. */
export function sizesOf(
  paths: Paths,
): (container: Pick<ListedContainer, "id" | "imageId">) => ContainerSize {
  const store = new ContainerStore(paths);
  const images = openImageStore(paths.root);
  const known = new Map<string, number>();
  return ({ id, imageId }) => {
    const own = treeSize(`${store.directory(id)}/upper`);
    let image = imageId === undefined ? 0 : known.get(imageId);
    if (image === undefined && imageId !== undefined) {
      image = sizeOf(() => images.get(imageId)?.size);
      known.set(imageId, image);
    }
    return { own, all: own + (image ?? 0) };
  };
}

/** An image that is damaged, or was removed by force, has none. */
function sizeOf(look: () => number | undefined): number {
  try {
    return look() ?? 0;
  } catch (error) {
    if (error instanceof MydockerError) return 0;
    throw error;
  }
}
