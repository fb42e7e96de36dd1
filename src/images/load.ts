/**
 * `load`: the images of an archive become images of the store. Nothing counts before everything in
 * the archive was read and found to be what it says; what is here already is not unpacked again.
 */
import { close, LOCK_SH, O, open, pread, syncfs, writeAll } from "../linux/fd.ts";
import { S_IFDIR, S_IFMT, S_IFREG, statFd } from "../linux/file.ts";
import { lockDirectory } from "../staging/locks.ts";
import type { Staging } from "../staging/staging.ts";
import { type ArchiveFiles, DirectoryFiles, TarFiles } from "./archive_files.ts";
import { holdBlob } from "./blobs.ts";
import { DescriptorSource } from "./chunk_source.ts";
import { collectLayers } from "./collect.ts";
import { detectCompression, type ExpansionLimits, readArchive } from "./decompress.ts";
import { knownBlob } from "./known_blob.ts";
import { DOCKER_MANIFEST_FILE, readDockerArchive } from "./load_docker.ts";
import { readOciLayout } from "./load_oci.ts";
import { ArchiveError, type PlannedImage, type PlannedLayer } from "./load_plan.ts";
import { DamagedNameError, readName } from "./names.ts";
import { type LayerBlob, makeManifest, placeReceivedLayer } from "./place_image.ts";
import { type ReceivedLayer, receiveLayer } from "./receive_layer.ts";
import { familiarReference, formatReference, type Reference } from "./reference.ts";
import type { ImageStore } from "./store.ts";
import { quoteName } from "./tar_header.ts";

/** What came of an image of the archive. */
export interface LoadedImage {
  /** `sha256:…` */
  readonly id: string;
  /** Names as Docker shows them. */
  readonly names: readonly string[];
  /** Names that other images had until now, with those images' ids. */
  readonly taken: readonly { readonly name: string; readonly id: string }[];
}

/** What came of the archive. */
export interface Loaded {
  readonly images: readonly LoadedImage[];
  /** What could not be kept, a line each. */
  readonly warnings: readonly string[];
}

/**
 * Loads an archive as `docker save`, `podman save`, skopeo or umoci write it.
 * @param fd a tar, plain or compressed, also from a pipe; or a directory. It stays the caller's
 * @throws {ArchiveError} when it is no archive of images, or not what it says; then nothing is kept
 * @throws {TarError} {@link DigestError} likewise
 */
export async function loadImages(
  store: ImageStore,
  fd: number,
  limits?: ExpansionLimits,
): Promise<Loaded> {
  using staging = store.stage();
  collectLayers(store, staging);
  using files = await openFiles(staging, fd, limits);
  const planned = readPlan(files);
  using locks = new DisposableStack();
  const layers = new LayerLoader(store, staging, files, locks, limits);
  const ready: { image: PlannedImage; blobs: LayerBlob[] }[] = [];
  for (const image of planned) {
    const blobs: LayerBlob[] = [];
    for (const layer of image.layers) blobs.push(await layers.load(layer));
    ready.push({ image, blobs });
  }
  layers.place();
  const images = ready.map(({ image, blobs }) => place(store, staging, image, blobs));
  return { images, warnings: layers.warnings };
}

function readPlan(files: ArchiveFiles): PlannedImage[] {
  const docker = readDockerArchive(files);
  const oci = readOciLayout(files);
  if (docker === undefined && oci === undefined)
    throw new ArchiveError(
      `this is no archive of images: neither ${DOCKER_MANIFEST_FILE} nor index.json is in it`,
      { hint: "`mydocker import` makes an image of a root file system's archive" },
    );
  if (docker === undefined || oci === undefined) return docker ?? oci ?? [];
  return merge(docker, oci);
}

/**
 * An archive that is of both kinds, as Docker's are since version 25: Docker's list says what is
 * loaded, the other one adds manifests. A name that is not the same image's in both would be one
 * thing to one engine and another to the next (CVE-2021-41190).
 */
function merge(docker: readonly PlannedImage[], oci: readonly PlannedImage[]): PlannedImage[] {
  const named = new Map(
    docker.flatMap(({ id, names }) => names.map((name) => [formatReference(name), id] as const)),
  );
  for (const { id, names } of oci)
    for (const name of names) {
      const other = named.get(formatReference(name));
      if (other !== undefined && other !== id)
        throw new ArchiveError(
          `the archive is ambiguous: ${familiarReference(name)} is ${other} by ${DOCKER_MANIFEST_FILE}, and ${id} by index.json`,
        );
    }
  return docker.map((image) => {
    const same = oci.find(
      ({ id, layers }) =>
        id === image.id && layers.every(({ file }, index) => file === image.layers[index]?.file),
    );
    return same === undefined ? image : { ...same, names: image.names };
  });
}

/** The archive's files, at any place of it: what comes through a pipe, or compressed, is written down first. */
async function openFiles(
  staging: Staging,
  fd: number,
  limits: ExpansionLimits | undefined,
): Promise<ArchiveFiles> {
  const { mode } = statFd(fd);
  const own = `/proc/self/fd/${fd}`;
  if ((mode & S_IFMT) === S_IFDIR) return new DirectoryFiles(open(own, O.O_PATH | O.O_DIRECTORY));
  if ((mode & S_IFMT) === S_IFREG) {
    const start = new Uint8Array(16);
    const length = pread(fd, start, 0);
    if (detectCompression(start.subarray(0, length)) === "none")
      return tarFiles(open(own, O.O_RDONLY));
  }
  const path = `${staging.path}/archive.tar`;
  const copy = open(path, O.O_RDWR | O.O_CREAT | O.O_EXCL, 0o600);
  try {
    await readArchive(new DescriptorSource(fd), (chunk) => writeAll(copy, chunk, path), { limits });
  } catch (error) {
    close(copy);
    throw error;
  }
  return tarFiles(copy);
}

function tarFiles(fd: number): TarFiles {
  try {
    return new TarFiles(fd);
  } catch (error) {
    close(fd);
    throw error;
  }
}

/** Layers of an archive, each received once; those that are in the store are only held. */
class LayerLoader {
  readonly warnings: string[] = [];
  private readonly done = new Map<string, LayerBlob>();
  private readonly received: ReceivedLayer[] = [];

  constructor(
    private readonly store: ImageStore,
    private readonly staging: Staging,
    private readonly files: ArchiveFiles,
    private readonly locks: DisposableStack,
    private readonly limits: ExpansionLimits | undefined,
  ) {}

  async load(layer: PlannedLayer): Promise<LayerBlob> {
    const key = `${layer.diffId} ${layer.digest ?? ""}`;
    const known = this.done.get(key) ?? this.present(layer);
    const blob = known ?? (await this.receive(layer));
    this.done.set(key, blob);
    return blob;
  }

  /** Moves what was received into its place. */
  place(): void {
    if (this.received.length === 0) return;
    // All of them at once: each call waits for the disk.
    const fd = open(this.staging.path, O.O_RDONLY | O.O_DIRECTORY);
    try {
      syncfs(fd);
    } finally {
      close(fd);
    }
    for (const layer of this.received) this.locks.use(placeReceivedLayer(this.store, layer));
  }

  /** @returns undefined when the layer or its blob is not in the store */
  private present({ diffId, digest }: PlannedLayer): LayerBlob | undefined {
    const { layout } = this.store;
    using held = new DisposableStack();
    const lock = lockDirectory(layout.layer(diffId), LOCK_SH);
    if (lock === undefined) return undefined;
    held.use(lock);
    const blob = knownBlob(this.store, diffId, digest);
    const blobLock = blob === undefined ? undefined : holdBlob(layout, blob.digest);
    if (blob === undefined || blobLock === undefined) return undefined;
    held.use(blobLock);
    this.locks.use(held.move());
    return blob;
  }

  private async receive(layer: PlannedLayer): Promise<LayerBlob> {
    using file = this.files.open(layer.file);
    if (file === undefined)
      throw new ArchiveError(`the layer ${quoteName(layer.file)} is not in the archive`);
    if (layer.size !== undefined && file.size !== layer.size)
      throw new ArchiveError(
        `the layer ${quoteName(layer.file)} has ${file.size} bytes in the archive, and not the ${layer.size} that its manifest says`,
      );
    const { digest, diffId } = layer;
    const expected = { digest, diffId, size: file.size };
    const name = String(this.received.length);
    const source = file.source();
    const received = await receiveLayer(this.staging, name, source, expected, this.limits, "none");
    this.received.push(received);
    this.warnings.push(...received.warnings);
    return received.blob;
  }
}

/** Places an image whose layers are in their places. */
function place(
  store: ImageStore,
  staging: Staging,
  image: PlannedImage,
  blobs: readonly LayerBlob[],
): LoadedImage {
  // Its own manifest, unless a layer that it says to be a plain tar was compressed here.
  const isKept = image.layers.every(({ digest }, index) => digest === blobs[index]?.digest);
  const manifest =
    image.manifest !== undefined && isKept ? image.manifest : makeManifest(image.config, blobs);
  const { id } = image;
  const before = image.names.map((reference) => ({ reference, id: nameOf(store, reference) }));
  const taken = before.flatMap(({ reference, id: other }) =>
    other === undefined || other === id ? [] : [{ name: familiarReference(reference), id: other }],
  );
  const names = before.filter((name) => name.id !== id).map(({ reference }) => reference);
  store.placeImage(staging, image.config, manifest, names);
  return { id, names: image.names.map(familiarReference), taken };
}

/** The image that has a name; a name that is damaged is nobody's, and is replaced. */
function nameOf(store: ImageStore, reference: Reference): string | undefined {
  try {
    return readName(store.layout, reference)?.id;
  } catch (error) {
    if (error instanceof DamagedNameError) return undefined;
    throw error;
  }
}
