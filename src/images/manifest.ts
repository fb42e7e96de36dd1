/**
 * Manifests and indexes of the OCI image specification ("manifest.md", "image-index.md") and of
 * Docker ("Image Manifest Version 2, Schema 2"), as they come from a registry or an archive:
 * nothing in them is trusted.
 */
import { MydockerError } from "../errors.ts";
import { decodeBytes } from "../ffi/bytes.ts";
import { quote } from "../quote.ts";
import { SHA256 } from "./image_config.ts";

export const OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json";
export const OCI_INDEX = "application/vnd.oci.image.index.v1+json";
export const OCI_CONFIG = "application/vnd.oci.image.config.v1+json";
export const OCI_LAYER = "application/vnd.oci.image.layer.v1.tar";
export const DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json";
export const DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json";
export const DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json";
export const DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar";

/** What a registry is asked for, the usual first. */
export const ACCEPTED: readonly string[] = [OCI_INDEX, DOCKER_LIST, OCI_MANIFEST, DOCKER_MANIFEST];

/** Bytes of a manifest, an index or an image configuration: what registries, too, take at most. */
export const MANIFEST_LIMIT = 4 * 2 ** 20;

const SCHEMA_1 = /^application\/vnd\.docker\.distribution\.manifest\.v1\+(?:json|prettyjws)$/;
const CONFIG_TYPES: ReadonlySet<string> = new Set([OCI_CONFIG, DOCKER_CONFIG]);

/** How a layer is compressed, by its media type. */
const LAYER_TYPES: Readonly<Record<string, "none" | "gzip" | "zstd">> = {
  [OCI_LAYER]: "none",
  [`${OCI_LAYER}+gzip`]: "gzip",
  [`${OCI_LAYER}+zstd`]: "zstd",
  [DOCKER_LAYER]: "none",
  [`${DOCKER_LAYER}.gzip`]: "gzip",
  [`${DOCKER_LAYER}.zstd`]: "zstd",
};

/** A reference to content by its digest. */
export interface Descriptor {
  readonly mediaType: string;
  /** `sha256:…` */
  readonly digest: string;
  /** bytes */
  readonly size: number;
  readonly annotations?: Readonly<Record<string, string>>;
}

/** Which machines an image is for. */
export interface Platform {
  readonly os: string;
  readonly architecture: string;
  readonly variant?: string;
}

/** An image: its configuration and its layers, the lowest first. */
export interface Manifest {
  readonly kind: "manifest";
  readonly mediaType: string;
  readonly config: Descriptor;
  readonly layers: readonly Descriptor[];
}

/** One image of several, for different machines. */
export interface IndexEntry extends Descriptor {
  readonly platform?: Platform;
}

/** Several images under one name. */
export interface ImageIndex {
  readonly kind: "index";
  readonly mediaType: string;
  readonly manifests: readonly IndexEntry[];
}

/** A manifest that is not what it should be, or of a kind that is not supported. */
export class ManifestError extends MydockerError {
  override readonly name = "ManifestError";
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/**
 * Reads a manifest or an index.
 * @param contentType as the registry says, if it does; what the document itself says must agree
 * @param what what is read, for messages: `the manifest of localhost:5000/x:latest`
 * @throws {ManifestError}
 */
export function parseManifest(
  bytes: Uint8Array,
  contentType: string | undefined,
  what: string,
): Manifest | ImageIndex {
  const bad = (why: string) => new ManifestError(`${what} ${why}`);
  if (bytes.length > MANIFEST_LIMIT) throw bad(`is larger than ${MANIFEST_LIMIT >> 20} MiB`);
  let parsed: unknown;
  try {
    parsed = JSON.parse(decodeBytes(bytes));
  } catch (cause) {
    throw new ManifestError(`${what} is not JSON`, { cause });
  }
  if (!isObject(parsed)) throw bad("is no JSON object");
  const document = parsed;
  const mediaType = judgeType(document, contentType, bad);
  // What one reader takes for an image another takes for an index (CVE-2021-41190).
  const isIndex = mediaType === OCI_INDEX || mediaType === DOCKER_LIST;
  for (const field of isIndex ? ["config", "layers", "fsLayers"] : ["manifests", "fsLayers"])
    if (document[field] !== undefined)
      throw bad(`is ambiguous: it is of type ${mediaType}, but has ${quote(field)}`);
  if (isIndex) {
    const { manifests } = document;
    if (!Array.isArray(manifests)) throw bad('has no "manifests"');
    return { kind: "index", mediaType, manifests: manifests.map((m) => indexEntry(m, bad)) };
  }
  const { layers } = document;
  if (!Array.isArray(layers)) throw bad('has no "layers"');
  const config = descriptor(document["config"], "config", bad);
  if (!CONFIG_TYPES.has(config.mediaType))
    throw bad(`is not of a container image: its config is of type ${quote(config.mediaType)}`);
  return {
    kind: "manifest",
    mediaType,
    config,
    layers: layers.map((layer, index) => layerDescriptor(layer, index, bad)),
  };
}

type Bad = (why: string) => ManifestError;

/** The document's media type, by itself, its registry, or its form. */
function judgeType(
  document: Record<string, unknown>,
  contentType: string | undefined,
  bad: Bad,
): string {
  const given = contentType?.split(";")[0]?.trim().toLowerCase();
  const declared = document["mediaType"];
  if (
    document["schemaVersion"] === 1 ||
    SCHEMA_1.test(given ?? "") ||
    SCHEMA_1.test(String(declared))
  )
    throw bad("is of Docker's schema 1, which is not supported: push the image again");
  if (document["schemaVersion"] !== 2) throw bad("has no schemaVersion 2");
  if (declared !== undefined && typeof declared !== "string") throw bad("has a bad mediaType");
  const known = given !== undefined && ACCEPTED.includes(given) ? given : undefined;
  if (declared !== undefined && known !== undefined && declared !== known)
    throw bad(`is ambiguous: it says that it is of type ${declared}, its registry says ${known}`);
  const type =
    declared ?? known ?? (Array.isArray(document["manifests"]) ? OCI_INDEX : OCI_MANIFEST);
  if (!ACCEPTED.includes(type)) throw bad(`is of type ${quote(type)}, which is not supported`);
  return type;
}

function descriptor(value: unknown, where: string, bad: Bad): Descriptor {
  if (!isObject(value)) throw bad(`has no descriptor in ${quote(where)}`);
  const { mediaType, digest, size, annotations } = value;
  if (typeof mediaType !== "string") throw bad(`has no mediaType in ${quote(where)}`);
  if (typeof digest !== "string" || !SHA256.test(digest))
    throw bad(
      `has a digest in ${quote(where)} that is no sha256: ${quote(String(digest).slice(0, 200))}`,
    );
  if (typeof size !== "number" || !Number.isSafeInteger(size) || size < 0)
    throw bad(`has a bad size in ${quote(where)}`);
  const notes =
    isObject(annotations) && Object.values(annotations).every((note) => typeof note === "string")
      ? { annotations: annotations as Record<string, string> }
      : {};
  return { mediaType, digest, size, ...notes };
}

function layerDescriptor(value: unknown, index: number, bad: Bad): Descriptor {
  const where = `layers[${index}]`;
  const layer = descriptor(value, where, bad);
  if (
    /foreign|nondistributable/.test(layer.mediaType) ||
    (isObject(value) && value["urls"] != null)
  )
    throw bad(
      `has a layer that is not at its registry (${layer.mediaType}), which is not supported`,
    );
  if (!Object.hasOwn(LAYER_TYPES, layer.mediaType))
    throw bad(`has a layer of type ${quote(layer.mediaType)}, which is not supported`);
  return layer;
}

function indexEntry(value: unknown, bad: Bad): IndexEntry {
  const entry = descriptor(value, "manifests", bad);
  const platform = isObject(value) ? value["platform"] : undefined;
  if (!isObject(platform)) return entry;
  const { os, architecture, variant } = platform;
  if (typeof os !== "string" || typeof architecture !== "string") return entry;
  return {
    ...entry,
    platform: {
      os,
      architecture,
      ...(typeof variant === "string" && variant !== "" ? { variant } : {}),
    },
  };
}

/** The compression that a layer's media type says. */
export function layerCompression(mediaType: string): "none" | "gzip" | "zstd" {
  return LAYER_TYPES[mediaType] ?? "none";
}
