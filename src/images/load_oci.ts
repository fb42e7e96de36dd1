/** Archives in the OCI image layout (image-spec, image-layout.md): an `index.json`, and blobs by their digests. */
import { decodeBytes } from "../ffi/bytes.ts";
import { type ArchiveFiles, readSmall } from "./archive_files.ts";
import { parseImageConfig } from "./image_config.ts";
import { hexOf, sha256Hex } from "./layout.ts";
import {
  ArchiveError,
  archivedName,
  checkLoadable,
  isObject,
  type PlannedImage,
} from "./load_plan.ts";
import { type Descriptor, type Manifest, parseManifest } from "./manifest.ts";
import { chooseEntry, hostPlatform } from "./platform.ts";
import type { Reference } from "./reference.ts";
import { quoteName } from "./tar_header.ts";

/** Where an OCI image layout says what is in it. */
export const INDEX_FILE = "index.json";
/** What makes it one. */
export const LAYOUT_FILE = "oci-layout";
/** containerd's and Docker's whole name, before the specification's, which may be a tag alone. */
export const NAME_ANNOTATIONS = [
  "io.containerd.image.name",
  "org.opencontainers.image.ref.name",
] as const;
/** What BuildKit calls a manifest that says something of another one, and is no image. */
const ATTESTATION = "vnd.docker.reference.type";
/** Indexes in indexes, at most. */
const DEPTH_LIMIT = 4;

/** Where a blob is. */
export const blobFile = (digest: string): string => `blobs/sha256/${hexOf(digest)}`;

/** The images of an OCI image layout; undefined when it is none. @throws {ArchiveError} */
export function readOciLayout(files: ArchiveFiles): PlannedImage[] | undefined {
  const bytes = readSmall(files, INDEX_FILE);
  if (bytes === undefined) return undefined;
  checkVersion(files);
  const index = parseManifest(bytes, undefined, `${INDEX_FILE} in the archive`);
  if (index.kind !== "index")
    throw new ArchiveError(`${INDEX_FILE} in the archive is a manifest, and no index`);
  const images = new Map<string, PlannedImage>();
  for (const entry of index.manifests) {
    if (entry.annotations?.[ATTESTATION] !== undefined) continue;
    const image = readEntry(files, entry);
    const names = nameOf(entry.annotations);
    const known = images.get(image.id);
    images.set(image.id, { ...image, names: [...(known?.names ?? []), ...names] });
  }
  return [...images.values()];
}

function checkVersion(files: ArchiveFiles): void {
  const bytes = readSmall(files, LAYOUT_FILE);
  if (bytes === undefined) return; // the index says what is there, too
  let layout: unknown;
  try {
    layout = JSON.parse(decodeBytes(bytes));
  } catch (cause) {
    throw new ArchiveError(`${LAYOUT_FILE} in the archive is not JSON`, { cause });
  }
  const version = isObject(layout) ? layout["imageLayoutVersion"] : undefined;
  if (typeof version !== "string" || !version.startsWith("1."))
    throw new ArchiveError(
      `the archive is an OCI image layout of version ${quoteName(String(version))}, which is not supported`,
    );
}

function nameOf(annotations: Descriptor["annotations"]): Reference[] {
  for (const key of NAME_ANNOTATIONS) {
    const name = annotations?.[key];
    // A tag alone names nothing: the specification leaves to each program what it belongs to.
    if (name !== undefined && /[/:]/.test(name)) return [archivedName(name)];
  }
  return [];
}

/** The blob that a descriptor is of. @throws {ArchiveError} when it is not what that says */
function readBlob(files: ArchiveFiles, { digest, size }: Descriptor, what: string): Uint8Array {
  const bytes = readSmall(files, blobFile(digest));
  if (bytes === undefined) throw new ArchiveError(`${what} ${digest} is not in the archive`);
  if (bytes.length !== size)
    throw new ArchiveError(
      `${what} ${digest} has ${bytes.length} bytes in the archive, and not the ${size} that it should have`,
    );
  if (`sha256:${sha256Hex(bytes)}` !== digest)
    throw new ArchiveError(`${what} ${digest} in the archive does not have that digest`);
  return bytes;
}

/** The image that an entry of the index leads to: of one for several machines, that for this one. */
function readEntry(files: ArchiveFiles, entry: Descriptor): PlannedImage {
  let descriptor = entry;
  for (let depth = 0; depth < DEPTH_LIMIT; depth++) {
    const bytes = readBlob(files, descriptor, "the manifest");
    const what = `the manifest ${descriptor.digest} in the archive`;
    const manifest = parseManifest(bytes, descriptor.mediaType, what);
    if (manifest.kind === "manifest") return readManifest(files, manifest, bytes, what);
    const chosen =
      chooseEntry(manifest.manifests, hostPlatform()) ??
      (manifest.manifests.length === 1 ? manifest.manifests[0] : undefined);
    if (chosen === undefined) throw new ArchiveError(`${what} has no image for this machine`);
    descriptor = chosen;
  }
  throw new ArchiveError(`the index ${entry.digest} in the archive is nested too deep`);
}

function readManifest(
  files: ArchiveFiles,
  manifest: Manifest,
  bytes: Uint8Array,
  what: string,
): PlannedImage {
  const config = readBlob(files, manifest.config, "the configuration");
  const parsed = parseImageConfig(config);
  checkLoadable(parsed, what);
  const diffIds = parsed.rootfs.diff_ids;
  if (manifest.layers.length !== diffIds.length)
    throw new ArchiveError(
      `${what} has ${manifest.layers.length} layers, and its configuration ${diffIds.length}`,
    );
  return {
    id: manifest.config.digest,
    config,
    names: [],
    manifest: bytes,
    layers: manifest.layers.map(({ digest, size }, index) => ({
      file: blobFile(digest),
      diffId: diffIds[index] as string,
      digest,
      size,
    })),
  };
}
