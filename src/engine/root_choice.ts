/** What a container's root file system is made of: an image, or a directory of the host. */
import { MydockerError } from "../errors.ts";
import { defaultImage } from "../images/default_image.ts";
import type { Image } from "../images/image.ts";
import { type ImageStore, NotUnpackedError, openImageStore } from "../images/store.ts";
import { ifExists, S_IFDIR, S_IFMT, stat } from "../linux/file.ts";
import type { Paths } from "../paths.ts";
import type { RunOptions } from "./run_options.ts";
import type { ImageConfig } from "./spec_builder.ts";
import { MissingImageError } from "./with_image.ts";

/** Where a container's root file system comes from. */
export interface RootChoice {
  /** what it is called in `ps` */
  readonly name: string;
  readonly imageId?: string;
  readonly config: ImageConfig;
  /** directories, the lowest first */
  readonly layers: readonly string[];
  /** What of the command line is the container's. */
  readonly args: readonly string[];
  /** Keeps the image from being removed until there is a container that does. */
  readonly hold?: Disposable;
}

/**
 * The first positional is a local image; else, if the default image has a command of that name, it
 * runs there; else it is an image that is not here.
 * @throws {MydockerError} exit code 125
 */
export async function chooseRoot(paths: Paths, options: RunOptions): Promise<RootChoice> {
  if (options.rootfs !== undefined) return hostDirectory(options.rootfs, options.args);
  try {
    return chooseImage(openImageStore(paths.root), options);
  } catch (error) {
    if (!(error instanceof NotUnpackedError)) throw error;
    const { LayerWriter } = await import("../images/layer_writer.ts");
    return chooseImage(openImageStore(paths.root, LayerWriter), options);
  }
}

function chooseImage(store: ImageStore, options: RunOptions): RootChoice {
  if (options.image === undefined) return fromDefault(store, []);
  const image = store.resolve(options.image);
  if (image !== undefined && !isForPlatform(image, options))
    throw new MissingImageError(options.image);
  if (image !== undefined) return fromImage(store, image, options.image, options.args);
  if (defaultImage.applets.includes(options.image)) {
    return fromDefault(store, [options.image, ...options.args]);
  }
  throw new MissingImageError(options.image);
}

/** An image that is here for another machine than the one asked for is not the one. */
function isForPlatform({ config }: Image, { platform }: RunOptions): boolean {
  if (platform === undefined) return true;
  const [os, architecture, variant] = platform.split("/");
  return (
    config.os === os &&
    config.architecture === architecture &&
    (config.variant === undefined || config.variant === "" || config.variant === variant)
  );
}

function fromDefault(store: ImageStore, args: readonly string[]): RootChoice {
  const image = store.resolve(defaultImage.reference);
  if (image === undefined) throw new MydockerError("the default image is missing");
  return fromImage(store, image, defaultImage.reference.replace(/:latest$/, ""), args);
}

function fromImage(
  store: ImageStore,
  image: Image,
  name: string,
  args: readonly string[],
): RootChoice {
  const { id, layers } = image;
  const hold = store.hold(id);
  if (hold === undefined) {
    throw new MydockerError(`image ${name} was removed just now`, { exitCode: 125 });
  }
  return { name, imageId: id, config: image.config.config ?? {}, layers, args, hold };
}

function hostDirectory(directory: string, args: readonly string[]): RootChoice {
  const found = ifExists(() => stat(directory));
  if (found === undefined || (found.mode & S_IFMT) !== S_IFDIR) {
    const why = found === undefined ? "no such directory" : "not a directory";
    throw new MydockerError(`--rootfs ${directory}: ${why}`, { exitCode: 125 });
  }
  const config = {};
  return { name: directory, config, layers: [directory], args };
}
