/** `mydocker push`: an image to a registry, with the digests that it has here. */
import { MydockerError } from "../errors.ts";
import { storedManifests } from "./blobs.ts";
import { damaged } from "./image.ts";
import { parseImageConfig } from "./image_config.ts";
import type { Descriptor } from "./manifest.ts";
import { listNames, type NameRecord, writeName } from "./names.ts";
import { familiarReference, fullName, type Reference } from "./reference.ts";
import { type Registry, RegistryError, UnauthorizedError } from "./registry.ts";
import { discard } from "./registry_request.ts";
import { Semaphore } from "./semaphore.ts";
import type { ImageStore } from "./store.ts";
import { type LayerFile, openStoredImage, type StoredImage } from "./stored_image.ts";
import { shortDigest, type TransferListener } from "./transfer.ts";
import { pushScope, uploadBlob } from "./upload.ts";

/** What came of a push. */
export interface Pushed {
  /** The manifest's. */
  readonly digest: string;
  /** Bytes of the manifest. */
  readonly size: number;
}

/** Layers that are sent at a time, as for Docker. */
const UPLOADS = 5;

/**
 * Brings the image of a name to its registry. What is there is not sent, and the name stands for it
 * there last, when all of it is there.
 * @param reference with a tag; it is a name of the image here
 * @throws {MydockerError}
 */
export async function pushImage(
  store: ImageStore,
  registry: Registry,
  { reference, id }: NameRecord,
  tell: TransferListener,
): Promise<Pushed> {
  using staging = store.stage();
  using image = await openStoredImage(store, staging, id);
  if (image === undefined) throw missingHere(reference);
  try {
    await sendBlobs(store, registry, reference, image, tell);
    await sendManifest(registry, reference, image);
  } catch (error) {
    throw explain(error, reference);
  }
  const { digest, bytes } = image.manifest;
  const { domain, path } = reference;
  writeName(store.layout, staging, {
    id,
    reference: { domain, path, digest },
    embedded: false,
  });
  return { digest, size: bytes.length };
}

/** What there is to push: one name of a repository, or all of them. @throws {MydockerError} in Docker's words */
export function namesToPush(store: ImageStore, reference: Reference, all: boolean): NameRecord[] {
  const known = listNames(store.layout).names.filter(
    (name) => fullName(name.reference) === fullName(reference),
  );
  if (known.length === 0) throw missingHere({ domain: reference.domain, path: reference.path });
  const tagged = known.filter(({ reference: { digest } }) => digest === undefined);
  if (all)
    return tagged.sort((a, b) => ((a.reference.tag ?? "") < (b.reference.tag ?? "") ? -1 : 1));
  const found = tagged.filter((name) => name.reference.tag === reference.tag);
  if (found.length > 0) return found;
  throw new MydockerError(`tag does not exist: ${familiarReference(reference)}`);
}

const missingHere = (reference: Reference): MydockerError =>
  new MydockerError(
    `An image does not exist locally with the tag: ${familiarReference(reference)}`,
  );

async function sendBlobs(
  store: ImageStore,
  registry: Registry,
  reference: Reference,
  image: StoredImage,
  tell: TransferListener,
): Promise<void> {
  const diffIds = parseImageConfig(image.config).rootfs.diff_ids;
  const layers = new Map<string, { blob: Descriptor; id: string }>();
  image.layers.forEach((blob, index) => {
    layers.set(blob.digest, { blob, id: shortDigest(diffIds[index] ?? blob.digest) });
  });
  // The uppermost first, as Docker shows them.
  const jobs = [...layers.values()].reverse();
  for (const { id } of jobs) tell({ kind: "layer", id, status: "Preparing" });
  const elsewhere = repositoriesOf(store, reference);
  const uploads = new Semaphore(UPLOADS);
  const send = async ({ blob, id }: (typeof jobs)[number]) => {
    using _slot = await uploads.acquire();
    const mountFrom = elsewhere.get(blob.digest);
    const what = await uploadBlob(registry, {
      repository: reference.path,
      blob,
      mountFrom,
      open: () => image.open(blob),
      progress: (current) =>
        tell({ kind: "layer", id, status: "Pushing", current, total: blob.size }),
    });
    const status =
      what === "existed"
        ? "Layer already exists"
        : what === "mounted"
          ? (`Mounted from ${mountFrom}` as const)
          : "Pushed";
    tell({ kind: "layer", id, status });
  };
  await Promise.all(jobs.map(send));
  const { config, id } = image;
  await uploadBlob(registry, {
    repository: reference.path,
    blob: { digest: id, size: config.length },
    open: () => inMemory(config),
  });
}

function inMemory(bytes: Uint8Array): LayerFile {
  let left = bytes;
  const next = () => {
    const chunk = left;
    left = new Uint8Array(0);
    return chunk;
  };
  return { source: { next }, [Symbol.dispose]: () => undefined };
}

/** By the digest of each blob: another repository at the same registry whose image here has it. */
function repositoriesOf(store: ImageStore, { domain, path }: Reference): Map<string, string> {
  const found = new Map<string, string>();
  for (const { id, reference } of listNames(store.layout).names) {
    // Only what came from there, or went there, is there: its name by digest says so.
    if (reference.domain !== domain || reference.path === path || reference.digest === undefined)
      continue;
    for (const { blobs, digest } of storedManifests(store.layout, id))
      if (digest === reference.digest) for (const blob of blobs) found.set(blob, reference.path);
  }
  return found;
}

async function sendManifest(
  registry: Registry,
  reference: Reference,
  { id, manifest }: StoredImage,
): Promise<void> {
  const response = await registry.expect(
    {
      path: `/v2/${reference.path}/manifests/${reference.tag}`,
      method: "PUT",
      headers: { "Content-Type": manifest.mediaType },
      body: new Uint8Array(manifest.bytes),
      scopes: [pushScope(reference.path)],
    },
    [200, 201, 202],
  );
  await discard(response);
  const there = response.headers.get("docker-content-digest");
  if (there !== null && there !== manifest.digest)
    throw damaged(id, `the registry has ${there} for its manifest ${manifest.digest}`);
}

/** Docker's words for what a registry says no to. */
function explain(error: unknown, { domain }: Reference): unknown {
  if (!(error instanceof RegistryError)) return error;
  const denied = error instanceof UnauthorizedError || error.status === 403;
  if (!denied || /^denied/.test(error.message)) return error;
  return new UnauthorizedError(error.message, error.status, {
    hint: `it may need \`mydocker login${domain === "docker.io" ? "" : ` ${domain}`}\``,
  });
}
