/**
 * What a listing found, for the next one, where there are so many images that to look at each takes
 * long. It counts for as long as the directories of images, names and layers are as they were: all
 * that makes, names or removes an image changes an entry in one of them. What is damaged within a
 * file shows in `image verify` then, and when the image is used.
 */
import { decodeBytes, encodeBytes } from "../ffi/bytes.ts";
import { SysError } from "../ffi/call.ts";
import { close, O, open, writeAll } from "../linux/fd.ts";
import { ifExists, readFileBytes, rename, statIfExists } from "../linux/file.ts";
import type { Image } from "./image.ts";
import type { ImageConfig } from "./image_config.ts";
import type { Reference } from "./reference.ts";
import type { ImageStore } from "./store.ts";

/** Fewer are looked at as fast. */
const LEAST = 32;
/** Seconds for which nothing was changed: within one tick of the clock two changes have one time. */
const SETTLED = 2;
/** Of another version it is not read. */
const VERSION = 1;

/** What is kept of an image. */
export interface CachedImage {
  readonly id: string;
  readonly created: string;
  readonly size: number;
  readonly references: readonly Reference[];
}

/** The state of the directories: inode and time of change of each. */
type Stamp = readonly (readonly [ino: number, seconds: number, nanoseconds: number])[];

interface Cache {
  readonly version: number;
  readonly stamp: Stamp;
  readonly images: readonly CachedImage[];
}

/** As the directories are now; undefined when one is not there. */
export function stampOf({ layout }: ImageStore): Stamp | undefined {
  const stats = [layout.images, layout.names, layout.layers].map((path) => statIfExists(path));
  const stamp = stats.flatMap((stat) =>
    stat === undefined ? [] : [[stat.ino, stat.mtime, stat.mtimeNsec] as const],
  );
  return stamp.length === stats.length ? stamp : undefined;
}

/** The listing of before, if it still counts. @param stamp from before anything is looked at */
export function readListing(
  { layout }: ImageStore,
  stamp: Stamp | undefined,
): readonly CachedImage[] | undefined {
  if (stamp === undefined) return undefined;
  const bytes = ifExists(() => readFileBytes(layout.listing));
  if (bytes === undefined) return undefined;
  try {
    const cache: Cache = JSON.parse(decodeBytes(bytes));
    const isSame = JSON.stringify(cache.stamp) === JSON.stringify(stamp);
    return cache.version === VERSION && isSame ? cache.images : undefined;
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof TypeError) return undefined;
    throw error;
  }
}

/** Keeps a listing that found nothing damaged. @param stamp from before anything was looked at */
export function writeListing(
  store: ImageStore,
  stamp: Stamp | undefined,
  images: readonly CachedImage[],
): void {
  if (stamp === undefined || images.length < LEAST) return;
  const latest = Math.max(...stamp.map(([, seconds]) => seconds));
  if (Date.now() / 1000 - latest < SETTLED) return;
  const text = JSON.stringify({ version: VERSION, stamp, images } satisfies Cache);
  try {
    using staging = store.stage();
    const path = `${staging.path}/listing`;
    const fd = open(path, O.O_WRONLY | O.O_CREAT | O.O_EXCL, 0o600);
    try {
      writeAll(fd, encodeBytes(text), path);
    } finally {
      close(fd);
    }
    rename(path, store.layout.listing);
  } catch (error) {
    if (!(error instanceof SysError)) throw error; // a full disk does not keep anybody from listing
  }
}

/** An image of a listing of before; its configuration is read when somebody asks for it. */
export function cachedImage(store: ImageStore, { id, created, size }: CachedImage): Image {
  let image: Image | undefined;
  const whole = (): Image => {
    image ??= store.get(id);
    if (image === undefined) throw new TypeError(`the image ${id} was removed`);
    return image;
  };
  return {
    id,
    created,
    size,
    get config(): ImageConfig {
      return whole().config;
    },
    get layers() {
      return whole().layers;
    },
    get references() {
      return whole().references;
    },
  };
}
