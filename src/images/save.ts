/**
 * `save`: images become an archive in the OCI image layout (image-spec, image-layout.md), with the
 * list beside it that `docker load` goes by. Layers are in it as they are in the store, so that an
 * image has the same digests wherever it is loaded.
 */
import { encodeBytes } from "../ffi/bytes.ts";
import type { ArchiveTarget } from "./archive_target.ts";
import type { ChunkSource } from "./chunk_source.ts";
import { damaged } from "./image.ts";
import { noSuchImage } from "./listing.ts";
import { DOCKER_MANIFEST_FILE } from "./load_docker.ts";
import { blobFile, INDEX_FILE, LAYOUT_FILE, NAME_ANNOTATIONS } from "./load_oci.ts";
import { type Descriptor, OCI_INDEX } from "./manifest.ts";
import { listNames } from "./names.ts";
import {
  familiarReference,
  formatReference,
  InvalidReferenceError,
  parseReference,
  type Reference,
} from "./reference.ts";
import type { ImageStore } from "./store.ts";
import { openStoredImage, type StoredImage, withoutZstd } from "./stored_image.ts";

/** What is saved: an image, and the names that it has in the archive. */
interface Chosen {
  readonly image: StoredImage;
  readonly names: readonly Reference[];
}

/** How an archive is written. */
export interface SaveOptions {
  /** With the list that `docker load` goes by; else only an OCI image layout. */
  readonly forDocker: boolean;
}

/**
 * Saves images. Each is in the archive once, by the names that it was asked for.
 * @param wanted names and ids. A name without a tag stands for all its tags, as for Docker
 * @param target finished when everything is there; disposed of by the caller
 * @returns their ids
 * @throws {NotFoundError} before anything is written
 * @throws {DamagedImageError}
 */
export async function saveImages(
  store: ImageStore,
  wanted: readonly string[],
  target: ArchiveTarget,
  { forDocker }: SaveOptions,
): Promise<string[]> {
  using staging = store.stage();
  using held = new DisposableStack();
  const chosen: Chosen[] = [];
  for (const [id, { text, names }] of choose(store, wanted)) {
    const image = await openStoredImage(store, staging, id);
    if (image === undefined) throw noSuchImage(text);
    held.use(image);
    chosen.push({ image: forDocker ? await withoutZstd(staging, image) : image, names });
  }
  target.addIndex(LAYOUT_FILE, json({ imageLayoutVersion: "1.0.0" }));
  target.addIndex(INDEX_FILE, json(ociIndex(chosen)));
  if (forDocker) target.addIndex(DOCKER_MANIFEST_FILE, json(dockerList(chosen)));
  const written = new Set<string>();
  const isNew = (digest: string) => !written.has(digest) && written.add(digest) !== undefined;
  for (const { image } of chosen) {
    const { id, config, manifest } = image;
    if (isNew(manifest.digest)) target.addFile(blobFile(manifest.digest), manifest.bytes);
    if (isNew(id)) target.addFile(blobFile(id), config);
    for (const layer of image.layers) if (isNew(layer.digest)) await addLayer(target, image, layer);
  }
  target.finish();
  return chosen.map(({ image }) => image.id);
}

const json = (value: unknown): Uint8Array => encodeBytes(JSON.stringify(value));

/** By the id of each image: what it was asked for by, and its names in the archive. */
function choose(store: ImageStore, wanted: readonly string[]) {
  const chosen = new Map<string, { text: string; names: Reference[] }>();
  const add = (text: string, id: string, name?: Reference) => {
    const known = chosen.get(id) ?? { text, names: [] };
    chosen.set(id, known);
    if (name?.tag === undefined || name.digest !== undefined) return;
    const written = formatReference(name);
    if (known.names.every((other) => formatReference(other) !== written)) known.names.push(name);
  };
  for (const text of wanted) {
    // First, because it may bring the image of the executable here.
    const image = store.resolve(text);
    const reference = referenceOf(text);
    const tags =
      reference?.tag === undefined && reference?.digest === undefined
        ? tagsOf(store, reference)
        : [];
    for (const { id, reference: tag } of tags) add(text, id, tag);
    if (tags.length > 0) continue;
    if (image === undefined) throw noSuchImage(text);
    const isNamed =
      reference !== undefined && image.references.includes(familiarReference(reference));
    add(text, image.id, isNamed ? reference : undefined);
  }
  return chosen;
}

/** Names of a repository, by their tags. */
function tagsOf(store: ImageStore, repository: Reference | undefined) {
  if (repository === undefined) return [];
  return listNames(store.layout)
    .names.filter(
      ({ reference: { domain, path, digest } }) =>
        domain === repository.domain && path === repository.path && digest === undefined,
    )
    .sort((a, b) => (formatReference(a.reference) < formatReference(b.reference) ? -1 : 1));
}

function referenceOf(text: string): Reference | undefined {
  if (/^(?:sha256:)?[a-f0-9]{64}$/.test(text)) return undefined;
  try {
    return parseReference(text);
  } catch (error) {
    if (error instanceof InvalidReferenceError) return undefined; // then it is an id
    throw error;
  }
}

/** An entry for each name, as Docker and containerd write it; one without for an image without. */
function ociIndex(chosen: readonly Chosen[]) {
  const [fullName, tagAlone] = NAME_ANNOTATIONS;
  return {
    schemaVersion: 2,
    mediaType: OCI_INDEX,
    manifests: chosen.flatMap(({ image: { manifest }, names }) => {
      const descriptor = {
        mediaType: manifest.mediaType,
        digest: manifest.digest,
        size: manifest.bytes.length,
      };
      if (names.length === 0) return [descriptor];
      return names.map((name) => ({
        ...descriptor,
        annotations: { [fullName]: formatReference(name), [tagAlone]: name.tag },
      }));
    }),
  };
}

function dockerList(chosen: readonly Chosen[]) {
  return chosen.map(({ image: { id, layers }, names }) => ({
    Config: blobFile(id),
    RepoTags: names.length === 0 ? null : names.map(familiarReference),
    Layers: layers.map(({ digest }) => blobFile(digest)),
  }));
}

/** Adds a layer's blob, and compares it with its digest on the way. */
async function addLayer(
  target: ArchiveTarget,
  image: StoredImage,
  layer: Descriptor,
): Promise<void> {
  using file = image.open(layer);
  const hasher = new Bun.CryptoHasher("sha256");
  const source: ChunkSource = {
    next(kept) {
      const chunk = file.source.next(kept);
      if (chunk instanceof Promise) throw new TypeError("a blob is read by blocking calls");
      hasher.update(chunk);
      return chunk;
    },
  };
  await target.addStream(blobFile(layer.digest), layer.size, source);
  if (`sha256:${hasher.digest("hex")}` !== layer.digest)
    throw damaged(image.id, `its blob ${layer.digest} does not have that digest`);
}
