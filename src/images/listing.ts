/** `mydocker images` and `tag`. */
import { MydockerError } from "../errors.ts";
import { SysError } from "../ffi/call.ts";
import type { Image } from "./image.ts";
import { listNames, writeName } from "./names.ts";
import { formatReference, parseReference, type Reference, withDefaultTag } from "./reference.ts";
import type { ImageStore } from "./store.ts";

/** An image with its names and its size, all read at once. */
export interface ListedImage {
  readonly image: Image;
  /** Sorted; empty for a dangling image. */
  readonly references: readonly Reference[];
  /** Bytes of data in its layers. */
  readonly size: number;
}

/** What is in the store. */
export interface ImageListing {
  /** The youngest first, as Docker sorts. */
  readonly images: readonly ListedImage[];
  /** What could not be read, an error for each image or name that is damaged. */
  readonly problems: readonly MydockerError[];
}

/** All images that are here. A damaged one becomes a problem, and harms no other. */
export function listImages(store: ImageStore): ImageListing {
  const images: ListedImage[] = [];
  const problems: MydockerError[] = [];
  const note = (error: unknown) => {
    if (error instanceof MydockerError) problems.push(error);
    else if (error instanceof SysError)
      problems.push(new MydockerError(error.message, { cause: error }));
    else throw error;
  };
  const listed = listNames(store.layout);
  listed.problems.forEach(note);
  for (const id of store.ids()) {
    try {
      const image = store.get(id);
      // Removed since we looked.
      if (image === undefined) continue;
      const references = listed.names
        .filter((name) => name.id === id)
        .map((name) => name.reference)
        .sort((a, b) => (formatReference(a) < formatReference(b) ? -1 : 1));
      images.push({ image, references, size: image.size });
    } catch (error) {
      note(error);
    }
  }
  const time = ({ image }: ListedImage) => Date.parse(image.created) || 0;
  images.sort((a, b) => time(b) - time(a) || (a.image.id < b.image.id ? -1 : 1));
  return { images, problems };
}

/**
 * Gives an image one more name, taking it from the image that has it.
 * @param source what {@link ImageStore.resolve} takes
 * @throws {MydockerError} `No such image`
 * @throws {InvalidReferenceError}
 * @throws {DamagedImageError}
 */
export function tagImage(store: ImageStore, source: string, name: string): Reference {
  const reference = withDefaultTag(parseReference(name));
  if (reference.digest !== undefined)
    throw new MydockerError("refusing to create a tag with a digest reference");
  const image = store.resolve(source);
  using held = image === undefined ? undefined : store.hold(image.id);
  if (image === undefined || held === undefined)
    throw new MydockerError(`No such image: ${source}`);
  using staging = store.stage();
  writeName(store.layout, staging, { id: image.id, reference, embedded: false });
  return reference;
}
