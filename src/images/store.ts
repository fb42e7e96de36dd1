/** The images that are here. On-disk form and locks: layout.ts. */
import { MydockerError } from "../errors.ts";
import { isErrno } from "../ffi/call.ts";
import { readDirectory, removeTree } from "../linux/directory.ts";
import { close, fsync, LOCK_SH, O, open, writeAll } from "../linux/fd.ts";
import {
  ifExists,
  makeDirectories,
  mkdir,
  readFileBytes,
  rename,
  statIfExists,
} from "../linux/file.ts";
import { syncDirectory } from "../linux/replace_file.ts";
import { log } from "../log.ts";
import { lockDirectory } from "../staging/locks.ts";
import { removeRemains, Staging } from "../staging/staging.ts";
import { defaultImage, readDefaultImageLayer } from "./default_image.ts";
import { DamagedImageError, damaged, type Image } from "./image.ts";
import { type ImageConfig, parseImageConfig, SHA256 } from "./image_config.ts";
import { layerSize, placeLayer } from "./layer.ts";
import type { LayerWriter } from "./layer_writer.ts";
import { hexOf, StoreLayout, sha256Hex } from "./layout.ts";
import {
  DamagedNameError,
  giveNames,
  listNames,
  type NameRecord,
  prepareNames,
  readName,
  writeName,
} from "./names.ts";
import {
  familiarReference,
  InvalidReferenceError,
  parseReference,
  type Reference,
  withDefaultTag,
} from "./reference.ts";

/** The images below a state directory. Reading needs no directory to be there yet. */
export class ImageStore {
  readonly layout: StoreLayout;

  /** @param root see {@link openImageStore}. @param writer see there */
  constructor(
    root: string,
    readonly writer: typeof LayerWriter | undefined,
  ) {
    this.layout = new StoreLayout(root);
  }

  /**
   * The image that `text` names: a reference (without a tag: `latest`), an id, or the beginning of
   * exactly one id. The default image's own name brings that image here when it is missing.
   *
   * Reads two small files for a name or a whole id; only what can be no name that is here, but
   * the beginning of an id, costs a look into a directory.
   * @returns undefined when there is none, also when `text` is no reference ({@link parseReference} says why)
   * @throws {DamagedImageError}
   * @throws {MydockerError} when several ids begin so
   * @throws {NotUnpackedError} for the default image, when nothing can unpack it
   */
  resolve(text: string): Image | undefined {
    const reference = referenceOf(text);
    if (reference !== undefined) {
      const isDefault = familiarReference(reference) === defaultImage.reference;
      const found = isDefault ? readDefaultName(this, reference) : readName(this.layout, reference);
      if (isDefault && (found === undefined || (found.embedded && found.id !== defaultImageId())))
        return nameDefaultImage(this, reference);
      if (found !== undefined) {
        const image = found.embedded ? getEmbedded(this, found.id) : this.get(found.id);
        if (image !== undefined) return image;
        if (isDefault && found.embedded) return nameDefaultImage(this, reference);
        throw new DamagedImageError(
          `the image ${found.id} that ${familiarReference(reference)} names is gone`,
          {
            hint: `mydocker rmi ${familiarReference(reference)}, then pull, load or import it again`,
          },
        );
      }
    }
    const id = this.findId(text);
    return id === undefined ? undefined : this.get(id);
  }

  /**
   * The image with this id.
   * @param id `sha256:…`, whole
   * @param directory where it is
   * @param sizes bytes of data in layers, by diff id: for a look at many images, which share them
   * @throws {DamagedImageError}
   */
  get(
    id: string,
    directory = this.layout.image(id),
    sizes = new Map<string, number>(),
  ): Image | undefined {
    const config = this.readConfig(id, directory);
    if (config === undefined) return undefined;
    const { layout } = this;
    const diffIds = config.rootfs.diff_ids;
    const isMissing = (diffId: string) => statIfExists(layout.diff(diffId)) === undefined;
    for (const diffId of diffIds) {
      if (sizes.has(diffId) || !isMissing(diffId)) continue;
      if (statIfExists(directory) === undefined) return undefined; // it was removed meanwhile
      // Or removed, and loaded again.
      if (isMissing(diffId)) throw damaged(id, `its layer ${layout.diff(diffId)} is missing`);
    }
    return {
      id,
      config,
      layers: diffIds.map((diffId) => layout.diff(diffId)),
      created: config.created ?? "",
      get references() {
        return listNames(layout)
          .names.filter((name) => name.id === id)
          .map((name) => familiarReference(name.reference))
          .sort();
      },
      get size() {
        return diffIds.reduce((total, diffId) => {
          const size = sizes.get(diffId) ?? layerSize(layout, diffId);
          sizes.set(diffId, size);
          return total + size;
        }, 0);
      },
    };
  }

  /** {@link get} for a container that was made of the image: also when that was removed since. */
  getOfContainer(id: string): Image | undefined {
    return this.get(id) ?? this.get(id, this.layout.keptImage(id));
  }

  /**
   * An image's configuration, whether or not its layers are here.
   * @throws {DamagedImageError} when it does not have the digest that it is called by
   */
  readConfig(id: string, directory = this.layout.image(id)): ImageConfig | undefined {
    const path = `${directory}/config.json`;
    let bytes: Uint8Array | undefined;
    try {
      bytes = ifExists(() => readFileBytes(path));
    } catch (error) {
      if (!isErrno(error, "EISDIR")) throw error;
      throw damaged(id, `${path} is a directory`, error);
    }
    if (bytes === undefined) {
      if (statIfExists(directory) === undefined) return undefined;
      throw damaged(id, `${path} is missing`);
    }
    if (`sha256:${sha256Hex(bytes)}` !== id) throw damaged(id, `${path} does not have that digest`);
    try {
      return parseImageConfig(bytes);
    } catch (error) {
      throw damaged(id, error instanceof Error ? error.message : String(error), error);
    }
  }

  /** The whole id that `text` is or begins, with or without `sha256:`. */
  findId(text: string): string | undefined {
    const prefix = /^(?:sha256:)?([a-f0-9]{1,64})$/.exec(text)?.[1];
    if (prefix === undefined) return undefined;
    if (prefix.length === 64) return `sha256:${prefix}`;
    const found = this.ids().filter((id) => hexOf(id).startsWith(prefix));
    if (found.length > 1)
      throw new MydockerError(
        `${JSON.stringify(text)} is the beginning of ${found.length} image IDs`,
        { hint: `type more of it: ${found.map((id) => hexOf(id).slice(0, 12)).join(", ")}` },
      );
    return found[0];
  }

  /** The ids of all images, damaged ones too, or of those in another directory; unsorted. */
  ids(directory = this.layout.images): string[] {
    return (ifExists(() => readDirectory(directory)) ?? [])
      .map((hex) => `sha256:${hex}`)
      .filter((id) => SHA256.test(id));
  }

  /** A place for making something in; what dead processes left there is removed first. */
  stage(): Staging {
    makeDirectories(this.layout.images);
    makeDirectories(this.layout.layers);
    makeDirectories(this.layout.blobs);
    return Staging.create(this.layout.staging, (directory) => giveNames(this.layout, directory));
  }

  /** Removes what dead processes left in such places; images that they placed get their names. @returns whether there was any */
  removeRemains(): boolean {
    return removeRemains(this.layout.staging, (directory) => giveNames(this.layout, directory));
  }

  /**
   * Puts an image into its place, and gives it its names: both or nothing, also when we are killed.
   * Its layers must be in their places, and locked ({@link placeLayer}).
   * @param config the configuration byte for byte
   * @param manifest the manifest that it came with byte for byte; its blobs must be in their place,
   * and locked (`placeBlob` of blobs.ts)
   * @param names taken from the images that have them
   * @returns its id
   */
  placeImage(
    staging: Staging,
    config: Uint8Array,
    manifest?: Uint8Array,
    names: readonly Reference[] = [],
  ): string {
    const id = `sha256:${sha256Hex(config)}`;
    const path = `${staging.path}/image`;
    mkdir(path, 0o700);
    const write = (file: string, bytes: Uint8Array) => {
      const fd = open(`${path}/${file}`, O.O_WRONLY | O.O_CREAT | O.O_EXCL, 0o600);
      try {
        writeAll(fd, bytes, this.layout.config(id));
        fsync(fd);
      } finally {
        close(fd);
      }
    };
    write("config.json", config);
    const manifestFile = `manifests/${manifest === undefined ? "" : sha256Hex(manifest)}.json`;
    if (manifest !== undefined) {
      mkdir(`${path}/manifests`, 0o700);
      write(manifestFile, manifest);
      syncDirectory(`${path}/manifests`);
    }
    prepareNames(this.layout, staging, id, names);
    // Nobody removes it as one without a name before it has its own.
    using _held = this.moveImage(path, id, manifest === undefined ? undefined : manifestFile);
    syncDirectory(this.layout.images);
    giveNames(this.layout, staging.path);
    return id;
  }

  /** Moves an image to its place, or what is new of it. @returns a lock that keeps it there */
  private moveImage(path: string, id: string, manifestFile: string | undefined): Disposable {
    for (;;) {
      using lock = lockDirectory(path, LOCK_SH);
      if (lock === undefined) throw new TypeError(`no image in ${path}`);
      try {
        rename(path, this.layout.image(id));
        const held = new DisposableStack();
        held.use(lockDirectory(this.layout.image(id), LOCK_SH));
        return held;
      } catch (error) {
        // The same image: its name is its content.
        if (!isErrno(error, "EEXIST", "ENOTEMPTY")) throw error;
      }
      const held = this.hold(id);
      if (held === undefined) continue; // it was removed just now
      if (manifestFile !== undefined) {
        makeDirectories(this.layout.manifests(id));
        rename(`${path}/${manifestFile}`, `${this.layout.image(id)}/${manifestFile}`);
        syncDirectory(this.layout.manifests(id));
      }
      removeTree(path); // others may be placed from the same staging directory
      return held;
    }
  }

  /**
   * Keeps an image from being removed until the result is disposed of.
   * @returns undefined when it is not here (any more)
   */
  hold(id: string): Disposable | undefined {
    return lockDirectory(this.layout.image(id), LOCK_SH);
  }
}

/** The default image has yet to be unpacked, and the store was opened without what does that. */
export class NotUnpackedError extends Error {}

/**
 * The store below `<root>/images`. Nothing is read or made before it is needed.
 * @param root mydocker's state directory, e.g. `/var/lib/mydocker`
 * @param writer unpacks the default image at its first use; most commands need no such code loaded
 */
export function openImageStore(root: string, writer?: typeof LayerWriter): ImageStore {
  return new ImageStore(root, writer);
}

/** What `text` means as a reference, with its default tag; undefined when it is none. */
function referenceOf(text: string): Reference | undefined {
  try {
    return withDefaultTag(parseReference(text));
  } catch (error) {
    if (error instanceof InvalidReferenceError) return undefined;
    throw error;
  }
}

const defaultConfigBytes = () => new TextEncoder().encode(JSON.stringify(defaultImage.config));

/** The id of the image inside the executable. */
export function defaultImageId(): string {
  return `sha256:${sha256Hex(defaultConfigBytes())}`;
}

/**
 * The image inside the executable, unpacked and named at its first use. It belongs to the program:
 * `rmi` frees its space, and its next use brings it back. Another image may be given its name; that
 * is left alone, and this is still the image inside.
 *
 * Afterwards it costs what {@link ImageStore.get} costs. Any number of processes may come first.
 */
export function ensureDefaultImage(store: ImageStore): Image {
  const id = defaultImageId();
  const present = store.get(id);
  if (present !== undefined) return present;
  const { layout } = store;
  if (store.writer === undefined) throw new NotUnpackedError("the default image is not unpacked");
  using staging = store.stage();
  using writer = new store.writer(staging, "files");
  writer.push(Bun.zstdDecompressSync(readDefaultImageLayer()));
  const [layer] = defaultImage.layers;
  if (layer === undefined) throw new TypeError("the default image has no layer");
  {
    using _layer = placeLayer(layout, layer.diffId, writer.end());
    store.placeImage(staging, defaultConfigBytes());
  }
  const reference = withDefaultTag(parseReference(defaultImage.reference));
  writeName(layout, staging, { id, reference, embedded: true }, { onlyIfAbsent: true });
  const image = store.get(id);
  if (image === undefined)
    throw new MydockerError("the default image was removed while it was unpacked");
  return image;
}

/** {@link ImageStore.get}, with another way out than to import it. */
function getEmbedded(store: ImageStore, id: string): Image | undefined {
  try {
    return store.get(id);
  } catch (error) {
    if (!(error instanceof DamagedImageError)) throw error;
    const hint = `mydocker rmi -f ${hexOf(id).slice(0, 12)}: its next use unpacks it again`;
    throw new DamagedImageError(error.message, { cause: error, hint });
  }
}

/** The default image can be named again: that its name is damaged is no reason to stop. */
function readDefaultName(store: ImageStore, reference: Reference): NameRecord | undefined {
  try {
    return readName(store.layout, reference);
  } catch (error) {
    if (!(error instanceof DamagedNameError)) throw error;
    const name = familiarReference(reference);
    log.warn(`${error.message}: ${name} is the image inside mydocker again`);
    return undefined;
  }
}

/** {@link readName}, for which a name that is damaged is none. */
function isNamed(store: ImageStore, reference: Reference, id: string): boolean {
  try {
    return readName(store.layout, reference)?.id === id;
  } catch (error) {
    if (error instanceof DamagedNameError) return false;
    throw error;
  }
}

/** Brings the default image here and gives it its name, which nobody or an older one of its kind has. */
function nameDefaultImage(store: ImageStore, reference: Reference): Image {
  const image = ensureDefaultImage(store);
  if (!isNamed(store, reference, image.id)) {
    using staging = store.stage();
    writeName(store.layout, staging, { id: image.id, reference, embedded: true });
  }
  return image;
}
