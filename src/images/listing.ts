/** `mydocker images` and `tag`. */
import { MydockerError, NotFoundError } from "../errors.ts";
import { SysError } from "../ffi/call.ts";
import { type ImageFilter, readFilters, timeMade } from "./filters.ts";
import type { Image } from "./image.ts";
import { cachedImage, readListing, stampOf, writeListing } from "./listing_cache.ts";
import { listNames, writeName } from "./names.ts";
import {
  familiarReference,
  formatReference,
  InvalidReferenceError,
  parseReference,
  type Reference,
  withDefaultTag,
} from "./reference.ts";
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

/**
 * The images that are here, or those of them that meet all filters. A damaged one becomes a
 * problem, and harms no other.
 * @throws {MydockerError} for a filter that there is not, or that names an image that is not here
 */
export function listImages(store: ImageStore, filters: readonly ImageFilter[] = []): ImageListing {
  const conditions = readFilters(filters, (name) => {
    const image = store.resolve(name);
    if (image === undefined) throw noSuchImage(name);
    return timeMade(image.created);
  });
  const { images, problems } = readAll(store);
  const shown: ListedImage[] = [];
  const found = problems.flatMap(({ error, references }) =>
    references === undefined || conditions.names(references) !== undefined ? [error] : [],
  );
  for (const { image, references, size } of images) {
    try {
      const names = conditions.names(references);
      if (names !== undefined && conditions.accepts(image))
        shown.push({ image, references: names, size });
    } catch (error) {
      found.push(problemOf(error));
    }
  }
  return { images: shown, problems: found };
}

interface Problem {
  readonly error: MydockerError;
  /** Names of the image that is damaged; undefined for what is no image. */
  readonly references?: readonly Reference[];
}

function problemOf(error: unknown): MydockerError {
  if (error instanceof MydockerError) return error;
  if (error instanceof SysError) return new MydockerError(error.message, { cause: error });
  throw error;
}

/** All images, sorted. */
function readAll(store: ImageStore): { images: ListedImage[]; problems: Problem[] } {
  const stamp = stampOf(store);
  const before = readListing(store, stamp);
  if (before !== undefined) {
    const images = before.map((cached) => ({ ...cached, image: cachedImage(store, cached) }));
    return { images, problems: [] };
  }
  const images: ListedImage[] = [];
  const listed = listNames(store.layout);
  const problems: Problem[] = listed.problems.map((error) => ({ error: problemOf(error) }));
  const sizes = new Map<string, number>();
  const byId = Map.groupBy(listed.names, ({ id }) => id);
  for (const id of store.ids()) {
    const references = (byId.get(id) ?? [])
      .map(({ reference }) => [formatReference(reference), reference] as const)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([, reference]) => reference);
    try {
      const image = store.get(id, undefined, sizes);
      // Removed since we looked.
      if (image === undefined) continue;
      images.push({ image, references, size: image.size });
    } catch (error) {
      problems.push({ error: problemOf(error), references });
    }
  }
  const times = new Map(images.map(({ image }) => [image, timeMade(image.created)]));
  const time = ({ image }: ListedImage) => times.get(image) ?? 0;
  images.sort((a, b) => time(b) - time(a) || (a.image.id < b.image.id ? -1 : 1));
  if (problems.length === 0)
    writeListing(
      store,
      stamp,
      images.map(({ image: { id, created }, references, size }) => ({
        ...{ id, created, references, size },
      })),
    );
  return { images, problems };
}

/** What a person asked for is not here, in Docker's words. */
export function noSuchImage(text: string): NotFoundError {
  let shown = text;
  try {
    if (!/^(?:sha256:)?[a-f0-9]{64}$/.test(text))
      shown = familiarReference(withDefaultTag(parseReference(text)));
  } catch (error) {
    if (!(error instanceof InvalidReferenceError)) throw error;
  }
  return new NotFoundError(`No such image: ${shown}`);
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
  if (image === undefined || held === undefined) throw noSuchImage(source);
  using staging = store.stage();
  writeName(store.layout, staging, { id: image.id, reference, embedded: false });
  return reference;
}
