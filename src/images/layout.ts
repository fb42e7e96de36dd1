/**
 * Where the store keeps what, below `<root>/images` (all 0700, root's):
 *
 *     ids/<hex>/config.json   the image: its configuration byte for byte; <hex> is its SHA-256
 *     layers/<hex>/diff       a layer unpacked, a lower directory for overlayfs; <hex> is the
 *                             SHA-256 of its uncompressed tar; shared between images
 *     ids/<hex>/manifests/<hex>.json   manifests that it came with, each called by its SHA-256
 *     layers/<hex>/layer.json what is known of it: {"size": bytes of data}
 *     blobs/sha256/<hex>      a layer as registries have it, compressed: what manifests refer to
 *     downloads/<hex>         the beginning of such a blob, or all of one whose image is not here yet
 *     names/<reference>       {"id": "sha256:…", "reference": "docker.io/library/busybox:latest"}
 *     kept/<hex>/             as in ids/: an image that was removed while containers are made of it
 *     listing.json            what a listing of many images found (listing_cache.ts); as good as not there
 *     tmp/<uuid>/             what is being made or removed (../staging/)
 *
 * An object is there when its directory or file has been renamed into place, complete; there is no
 * list of objects anywhere. Locks (flock): an image's directory shared while it is given a name or
 * held, exclusively while it is removed; a layer's directory shared until the image that brings it
 * is in place, exclusively while it is removed, and likewise a blob; a name's file exclusively while
 * it is replaced; a download exclusively while it grows.
 */
import { SHA256 } from "./image_config.ts";
import { formatReference, type Reference } from "./reference.ts";

/** Names of files may have 255 bytes. */
const NAME_LIMIT = 255;

/** Paths of the store, absolute if the root is. */
export class StoreLayout {
  readonly images: string;
  readonly layers: string;
  readonly names: string;
  readonly staging: string;
  readonly blobs: string;
  readonly downloads: string;
  readonly kept: string;
  readonly listing: string;

  /** @param root mydocker's state directory, e.g. `/var/lib/mydocker` */
  constructor(readonly root: string) {
    this.images = `${root}/images/ids`;
    this.layers = `${root}/images/layers`;
    this.names = `${root}/images/names`;
    this.staging = `${root}/images/tmp`;
    this.blobs = `${root}/images/blobs/sha256`;
    this.downloads = `${root}/images/downloads`;
    this.kept = `${root}/images/kept`;
    this.listing = `${root}/images/listing.json`;
  }

  /** @param id `sha256:…` */
  image(id: string): string {
    return `${this.images}/${hexOf(id)}`;
  }

  config(id: string): string {
    return `${this.image(id)}/config.json`;
  }

  /** Where an image is that only containers have. */
  keptImage(id: string): string {
    return `${this.kept}/${hexOf(id)}`;
  }

  /** Manifests that an image came with. */
  manifests(id: string): string {
    return `${this.image(id)}/manifests`;
  }

  /** @param digest `sha256:…` of the blob's bytes */
  blob(digest: string): string {
    return `${this.blobs}/${hexOf(digest)}`;
  }

  download(digest: string): string {
    return `${this.downloads}/${hexOf(digest)}`;
  }

  layer(diffId: string): string {
    return `${this.layers}/${hexOf(diffId)}`;
  }

  diff(diffId: string): string {
    return `${this.layer(diffId)}/diff`;
  }

  layerInfo(diffId: string): string {
    return `${this.layer(diffId)}/layer.json`;
  }

  name(reference: Reference): string {
    const encoded = formatReference(reference).replaceAll("/", "%2F");
    return `${this.names}/${encoded.length <= NAME_LIMIT ? encoded : sha256Hex(encoded)}`;
  }
}

/** The hex digits of `sha256:…`. @throws {TypeError} for anything else: it would become a path */
export function hexOf(digest: string): string {
  const hex = SHA256.exec(digest)?.[1];
  if (hex === undefined) throw new TypeError(`not a sha256 digest: ${JSON.stringify(digest)}`);
  return hex;
}

/** The SHA-256 of some bytes as 64 hex digits. */
export function sha256Hex(bytes: Uint8Array | string): string {
  return new Bun.CryptoHasher("sha256").update(bytes).digest("hex");
}
