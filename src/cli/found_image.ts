/** The image that a command line names. */
import type { Image } from "../images/image.ts";
import type { ImageStore } from "../images/store.ts";

/**
 * Opens the store and looks an image up; the default image is unpacked if it is that.
 * @throws {NotFoundError}
 */
export async function findImage(text: string): Promise<{ store: ImageStore; image: Image }> {
  const { LayerWriter } = await import("../images/layer_writer.ts");
  const { noSuchImage } = await import("../images/listing.ts");
  const { openImageStore } = await import("../images/store.ts");
  const { statePaths } = await import("../paths.ts");
  const { recover } = await import("../engine/recovery.ts");
  const paths = statePaths();
  recover(paths);
  const store = openImageStore(paths.root, LayerWriter);
  const image = store.resolve(text);
  if (image === undefined) throw noSuchImage(text);
  return { store, image };
}
