/** Manifests and configurations, from a registry: fetched, and checked against their digests. */
import { MydockerError } from "../errors.ts";
import { sha256Hex } from "./layout.ts";
import type { Platform } from "./manifest.ts";
import {
  ACCEPTED,
  type Descriptor,
  type ImageIndex,
  MANIFEST_LIMIT,
  type Manifest,
  ManifestError,
  parseManifest,
} from "./manifest.ts";
import { chooseEntry, formatPlatform } from "./platform.ts";
import { familiarReference, type Reference } from "./reference.ts";
import { type Registry, RegistryError, UnauthorizedError } from "./registry.ts";
import { ATTEMPTS, backOff, ConnectionError, readSmall } from "./registry_request.ts";

/** A manifest or index as its registry has it. */
export interface FetchedManifest {
  /** `sha256:…` of its bytes. */
  readonly digest: string;
  readonly mediaType: string;
  readonly bytes: Uint8Array;
  readonly document: Manifest | ImageIndex;
}

/** Gets what a tag or a digest names. @throws {ManifestError} @throws {RegistryError} */
export async function fetchManifest(
  registry: Registry,
  reference: Reference,
  target: string = reference.digest ?? reference.tag ?? "latest",
): Promise<FetchedManifest> {
  const shown = familiarReference(reference);
  const path = `/v2/${reference.path}/manifests/${target}`;
  const { bytes, type, declared } = await get(
    registry,
    reference,
    path,
    ACCEPTED,
    `the manifest of ${shown}`,
  );
  const digest = `sha256:${sha256Hex(bytes)}`;
  const wanted = target.includes(":") ? target : declared;
  if (wanted !== null && wanted !== digest) {
    if (!wanted.startsWith("sha256:"))
      throw new MydockerError(
        `${shown}: the digest ${wanted} is not a sha256, which alone are supported`,
      );
    throw new ManifestError(
      `the registry ${registry.domain} sent something else for the manifest of ${shown}: it has the digest ${digest}, not ${wanted}`,
    );
  }
  const document = parseManifest(bytes, type ?? undefined, `the manifest of ${shown}`);
  return { digest, bytes, mediaType: document.mediaType, document };
}

/** Gets a small blob, such as a configuration. @throws {MydockerError} when it is not what its descriptor says */
export async function fetchSmallBlob(
  registry: Registry,
  reference: Reference,
  { digest, size }: Descriptor,
  what: string,
): Promise<Uint8Array> {
  if (size > MANIFEST_LIMIT)
    throw new ManifestError(`${what} has ${size} bytes, more than ${MANIFEST_LIMIT >> 20} MiB`);
  const path = `/v2/${reference.path}/blobs/${digest}`;
  const { bytes } = await get(registry, reference, path, [], what);
  if (bytes.length !== size)
    throw new ManifestError(
      `the registry ${registry.domain} sent ${bytes.length} bytes for ${what}, which has ${size}`,
    );
  const found = `sha256:${sha256Hex(bytes)}`;
  if (found !== digest)
    throw new ManifestError(
      `the registry ${registry.domain} sent something else for ${what}: it has the digest ${found}, not ${digest}`,
    );
  return bytes;
}

async function get(
  registry: Registry,
  reference: Reference,
  path: string,
  accept: readonly string[],
  what: string,
): Promise<{ bytes: Uint8Array; type: string | null; declared: string | null }> {
  for (let attempt = 1; ; attempt++) {
    try {
      const response = await registry.expect(
        {
          path,
          scopes: [`repository:${reference.path}:pull`],
          headers: accept.length === 0 ? {} : { Accept: accept.join(", ") },
        },
        [200],
      );
      const bytes = await readSmall(response, MANIFEST_LIMIT, what, registry.reading);
      const { headers } = response;
      return {
        bytes,
        type: headers.get("content-type"),
        declared: headers.get("docker-content-digest"),
      };
    } catch (error) {
      if (!(error instanceof ConnectionError) || error.final || attempt === ATTEMPTS)
        throw explain(error, reference);
    }
    await Bun.sleep(backOff(attempt));
  }
}

/** Docker's words for what a registry says no to. */
export function explain(error: unknown, reference: Reference): unknown {
  if (!(error instanceof RegistryError)) return error;
  const shown = familiarReference(reference);
  if (error instanceof UnauthorizedError || error.status === 403 || /^denied/.test(error.message))
    return new UnauthorizedError(
      `pull access denied for ${shown}: ${error.message}`,
      error.status,
      {
        hint: `it may not exist, or need \`mydocker login${reference.domain === "docker.io" ? "" : ` ${reference.domain}`}\``,
      },
    );
  if (error.status === 404)
    return new RegistryError(`manifest for ${shown} not found: ${error.message}`, 404);
  return error;
}

/**
 * The image that a manifest is, or the one of an index that is for a platform.
 * @throws {MydockerError} when there is none
 */
export async function fetchImageManifest(
  registry: Registry,
  reference: Reference,
  top: FetchedManifest,
  platform: Platform,
): Promise<{ manifest: Manifest; bytes: Uint8Array }> {
  if (top.document.kind === "manifest") return { manifest: top.document, bytes: top.bytes };
  const entry = chooseEntry(top.document.manifests, platform);
  if (entry === undefined)
    throw new MydockerError(
      `no matching manifest for ${formatPlatform(platform)} in the manifest list entries of ${familiarReference(reference)}`,
      { hint: `there is ${offered(top.document)}` },
    );
  const found = await fetchManifest(registry, reference, entry.digest);
  if (found.document.kind !== "manifest")
    throw new ManifestError(
      `the manifest of ${familiarReference(reference)} is an index in an index, which is not supported`,
    );
  return { manifest: found.document, bytes: found.bytes };
}

function offered({ manifests }: ImageIndex): string {
  const platforms = manifests.flatMap(({ platform }) =>
    platform === undefined || platform.os === "unknown" ? [] : [formatPlatform(platform)],
  );
  return platforms.length === 0 ? "nothing" : [...new Set(platforms)].slice(0, 20).join(", ");
}
