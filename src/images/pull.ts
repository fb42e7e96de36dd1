/** `mydocker pull`: an image from a registry. */
import { MydockerError } from "../errors.ts";
import { close, LOCK_SH, O, open, syncfs } from "../linux/fd.ts";
import { unlinkIfExists } from "../linux/file.ts";
import { lockDirectory } from "../staging/locks.ts";
import type { Staging } from "../staging/staging.ts";
import { blobSize, placeBlob, storedManifests } from "./blobs.ts";
import { findCredentials } from "./credentials.ts";
import { type Downloaded, download, removeDownload, removeStaleDownloads } from "./download.ts";
import { DamagedImageError } from "./image.ts";
import { type ImageConfig, parseImageConfig } from "./image_config.ts";
import { placeLayer } from "./layer.ts";
import type { Descriptor, Manifest, Platform } from "./manifest.ts";
import { ManifestError } from "./manifest.ts";
import { fetchImageManifest, fetchManifest, fetchSmallBlob } from "./manifest_source.ts";
import { readName, writeName } from "./names.ts";
import { formatPlatform, hostPlatform, platformMatches } from "./platform.ts";
import { familiarReference, formatReference, type Reference } from "./reference.ts";
import { Registry, type RegistryOptions } from "./registry.ts";
import { ConnectionError } from "./registry_request.ts";
import { Semaphore } from "./semaphore.ts";
import type { ImageStore } from "./store.ts";
import {
  type LayerStatus,
  shortDigest,
  type TransferEvent,
  type TransferListener,
} from "./transfer.ts";
import { UnpackPool, type UnpackResult } from "./unpack_pool.ts";

/** What `pull` may be told. */
export interface PullOptions extends RegistryOptions {
  readonly platform?: Platform;
  readonly listener?: TransferListener;
}

/** What came of it. */
export interface Pulled {
  /** `sha256:…` of the image. */
  readonly id: string;
  /** `sha256:…` of what the name stands for: the image's manifest, or the index that it is in. */
  readonly digest: string;
  /** The name stood for this image before. */
  readonly upToDate: boolean;
  readonly warnings: readonly string[];
}

/** Layers that arrive at a time, as for Docker. */
const DOWNLOADS = 3;

/** The registry of a reference. */
export function registryOf({ domain }: Reference, options: RegistryOptions = {}): Registry {
  return new Registry(domain, { credentials: findCredentials, ...options });
}

/**
 * Brings an image here. Nothing of it counts before all of it is here and checked: each blob by
 * digest and size, each layer by the digest of its tar.
 * @param reference with a tag or a digest
 * @throws {MydockerError}
 */
export async function pullImage(
  store: ImageStore,
  registry: Registry,
  reference: Reference,
  options: PullOptions = {},
): Promise<Pulled> {
  const tell = options.listener ?? (() => undefined);
  const platform = options.platform ?? hostPlatform();
  removeStaleDownloads(store.layout);
  const top = await fetchManifest(registry, reference);
  tell({
    kind: "message",
    text: `${reference.digest ?? reference.tag ?? ""}: Pulling from ${reference.path}`,
  });
  const { manifest, bytes } = await fetchImageManifest(registry, reference, top, platform);
  const what = `the configuration of ${familiarReference(reference)}`;
  const configBytes = await fetchSmallBlob(registry, reference, manifest.config, what);
  const config = parseImageConfig(configBytes);
  judgeConfig(config, manifest, reference, options.platform);

  using staging = store.stage();
  using rest = new DisposableStack();
  using locks = new DisposableStack();
  const id = manifest.config.digest;
  const names = namesOf(reference, top.digest);
  const before = names.map((name) => readNameOf(store, name)).filter((found) => found === id);
  let warnings: readonly string[] = [];
  const kept = store.hold(id);
  if (kept !== undefined) locks.use(kept);
  const newNames = () => names.filter((name) => readNameOf(store, name) !== id);
  if (kept === undefined || !isWhole(store, id, bytes)) {
    const layers = new PullLayers(store, registry, reference, staging, locks, rest, tell);
    warnings = await layers.pull(manifest.layers, config.rootfs.diff_ids);
    store.placeImage(staging, configBytes, bytes, newNames());
  } else {
    for (const reference of newNames())
      writeName(store.layout, staging, { id, reference, embedded: false });
  }
  return { id, digest: top.digest, upToDate: before.length > 0 && kept !== undefined, warnings };
}

/** The tag that was asked for, and the digest. */
function namesOf(reference: Reference, digest: string): Reference[] {
  const { domain, path } = reference;
  const byDigest = { domain, path, digest };
  return reference.digest === undefined ? [reference, byDigest] : [byDigest];
}

/** A damaged name is one to write again. */
function readNameOf(store: ImageStore, reference: Reference): string | undefined {
  try {
    return readName(store.layout, reference)?.id;
  } catch (error) {
    if (error instanceof MydockerError) return undefined;
    throw error;
  }
}

/** Whether an image is here with its layers, its blobs and this manifest. */
function isWhole(store: ImageStore, id: string, manifest: Uint8Array): boolean {
  try {
    if (store.get(id) === undefined) return false;
  } catch (error) {
    if (!(error instanceof DamagedImageError)) throw error;
    return false;
  }
  const { layout } = store;
  return storedManifests(layout, id).some(
    ({ bytes, blobs }) =>
      Buffer.compare(bytes, manifest) === 0 &&
      blobs.every((digest) => blobSize(layout, digest) !== undefined),
  );
}

function judgeConfig(
  config: ImageConfig,
  manifest: Manifest,
  reference: Reference,
  asked: Platform | undefined,
): void {
  const shown = familiarReference(reference);
  if (config.os !== "linux")
    throw new MydockerError(
      `the image ${shown} is for the operating system ${JSON.stringify(config.os)}`,
    );
  if (asked !== undefined && !platformMatches(asked, config))
    throw new MydockerError(
      `image with reference ${shown} was found but does not match the specified platform: wanted ${formatPlatform(asked)}, actual: ${formatPlatform(config)}`,
    );
  if (config.rootfs.diff_ids.length !== manifest.layers.length)
    throw new ManifestError(
      `the manifest of ${shown} has ${manifest.layers.length} layers, its configuration ${config.rootfs.diff_ids.length}`,
    );
  if (config.rootfs.diff_ids.length === 0)
    throw new ManifestError(`the image ${shown} has no layers`);
}

/** The layers of one image, downloaded and unpacked side by side. */
class PullLayers {
  private readonly downloads = new Semaphore(DOWNLOADS);
  private readonly abort = new AbortController();
  /** Digests of what is on its way, and of what has arrived. */
  private readonly growing = new Set<string>();
  private readonly complete = new Set<string>();

  constructor(
    private readonly store: ImageStore,
    private readonly registry: Registry,
    private readonly reference: Reference,
    private readonly staging: Staging,
    private readonly locks: DisposableStack,
    /** What is left to do when no locks are held. */
    private readonly rest: DisposableStack,
    private readonly tell: TransferListener,
  ) {}

  /** @returns warnings */
  async pull(blobs: readonly Descriptor[], diffIds: readonly string[]): Promise<string[]> {
    // One blob may be several layers.
    const jobs = new Map(
      blobs.map((blob, index) => [blob.digest, { blob, diffId: diffIds[index] ?? "" }]),
    );
    blobs.forEach(({ digest }, index) => {
      if (jobs.get(digest)?.diffId !== diffIds[index])
        throw new ManifestError(
          `the manifest of ${familiarReference(this.reference)} has the blob ${digest} twice, its configuration two layers for it`,
        );
    });
    for (const { blob } of jobs.values()) this.status(blob, "Pulling fs layer");
    await using pool = new UnpackPool(jobs.size);
    try {
      const results = await Promise.all(
        [...jobs.values()].map((job) => this.layer(job.blob, job.diffId, pool)),
      );
      this.commit(results);
      return results.flatMap(({ unpacked }) => unpacked?.warnings ?? []);
    } catch (error) {
      this.abort.abort();
      // What only broke off is gone on with the next time; of an image that is wrong nothing is kept.
      const { layout } = this.store;
      if (!(error instanceof ConnectionError)) {
        for (const digest of this.growing) unlinkIfExists(layout.download(digest));
        for (const digest of this.complete) this.rest.defer(() => removeDownload(layout, digest));
      }
      throw error;
    }
  }

  private async layer(blob: Descriptor, diffId: string, pool: UnpackPool): Promise<PulledLayer> {
    const { layout } = this.store;
    const present = lockDirectory(layout.layer(diffId), LOCK_SH);
    if (present !== undefined) this.locks.use(present);
    let unpacking: Promise<UnpackResult> | undefined;
    const { promise: failed, reject: fail } = Promise.withResolvers<never>();
    failed.catch(() => undefined);
    const downloading = this.download(blob, (path) => {
      if (present === undefined) unpacking = this.unpack(path, blob, pool);
      unpacking?.catch(fail); // a layer that cannot be unpacked is not worth downloading
    });
    const downloaded = await Promise.race([downloading, failed]);
    this.locks.use(downloaded);
    if (present !== undefined) {
      this.status(blob, downloaded.existed ? "Already exists" : "Pull complete");
      return { blob, downloaded, diffId };
    }
    this.status(blob, "Download complete");
    const unpacked = await unpacking;
    if (unpacked === undefined) throw new TypeError("a layer was not unpacked");
    if (unpacked.diffId !== diffId)
      throw new MydockerError(
        `the layer ${blob.digest} of ${familiarReference(this.reference)} is not what the image's configuration says: its tar has the digest ${unpacked.diffId}, not ${diffId}`,
      );
    this.status(blob, "Pull complete");
    return { blob, downloaded, diffId, unpacked };
  }

  private async download(blob: Descriptor, opened: (path: string) => void): Promise<Downloaded> {
    using _slot = await this.downloads.acquire();
    this.abort.signal.throwIfAborted();
    const { layout } = this.store;
    const { growing, registry, reference } = this;
    const downloaded = await download(layout, registry, reference.path, blob, {
      signal: this.abort.signal,
      waiting: () => this.status(blob, "Waiting"),
      opened: (path) => {
        growing.add(blob.digest);
        opened(path);
      },
      progress: (bytes) => this.status(blob, "Downloading", bytes),
      verifying: () => this.status(blob, "Verifying Checksum"),
    });
    growing.delete(blob.digest);
    if (!downloaded.existed) this.complete.add(blob.digest);
    return downloaded;
  }

  private unpack(path: string, blob: Descriptor, pool: UnpackPool): Promise<UnpackResult> {
    const job = {
      path,
      size: blob.size,
      parent: this.staging.path,
      name: `layer-${blob.digest.slice("sha256:".length)}`,
    };
    return pool.unpack(job, (bytes) => this.status(blob, "Extracting", bytes));
  }

  /** Writes everything out, and puts it into its place. */
  private commit(layers: readonly PulledLayer[]): void {
    const { layout } = this.store;
    const fd = open(this.staging.path, O.O_RDONLY | O.O_DIRECTORY);
    try {
      syncfs(fd);
    } finally {
      close(fd);
    }
    for (const { blob, downloaded, diffId, unpacked } of layers) {
      if (unpacked !== undefined) this.locks.use(placeLayer(layout, diffId, unpacked));
      if (!downloaded.existed) this.locks.use(placeBlob(layout, blob.digest, downloaded.path));
    }
  }

  private status(blob: Descriptor, status: LayerStatus, current?: number): void {
    this.tell(layerEvent(blob, status, current));
  }
}

interface PulledLayer {
  readonly blob: Descriptor;
  readonly downloaded: Downloaded;
  readonly diffId: string;
  /** Absent when the layer was here. */
  readonly unpacked?: UnpackResult;
}

function layerEvent(
  { digest, size }: Descriptor,
  status: LayerStatus,
  current?: number,
): TransferEvent {
  const amount = current === undefined ? {} : { current, total: size };
  return { kind: "layer", id: shortDigest(digest), status, ...amount };
}

/** What `pull` ends with, in Docker's words. */
export function pullSummary(reference: Reference, { digest, upToDate }: Pulled): readonly string[] {
  const status = upToDate ? "Image is up to date for" : "Downloaded newer image for";
  return [
    `Digest: ${digest}`,
    `Status: ${status} ${familiarReference(reference)}`,
    formatReference(reference),
  ];
}
