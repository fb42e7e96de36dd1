/**
 * Where the store keeps what, below `<root>/images` (all 0700, root's):
 *
 *     ids/<hex>/config.json   the image: its configuration byte for byte; <hex> is its SHA-256
 *     layers/<hex>/diff       a layer unpacked, a lower directory for overlayfs; <hex> is the
 *                             SHA-256 of its uncompressed tar; shared between images
 *     layers/<hex>/layer.json what is known of it: {"size": bytes of data}
 *     names/<reference>       {"id": "sha256:…", "reference": "docker.io/library/busybox:latest"}
 *     tmp/<uuid>/             what is being made or removed (staging.ts)
 *
 * An object is there when its directory or file has been renamed into place, complete; there is no
 * list of objects anywhere. Locks (flock): an image's directory shared while it is given a name or
 * held, exclusively while it is removed; a layer's directory shared until the image that brings it
 * is in place, exclusively while it is removed; a name's file exclusively while it is replaced.
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

  /** @param root mydocker's state directory, e.g. `/var/lib/mydocker` */
  constructor(readonly root: string) {
    this.images = `${root}/images/ids`;
    this.layers = `${root}/images/layers`;
    this.names = `${root}/images/names`;
    this.staging = `${root}/images/tmp`;
  }

  /** @param id `sha256:…` */
  image(id: string): string {
    return `${this.images}/${hexOf(id)}`;
  }

  config(id: string): string {
    return `${this.image(id)}/config.json`;
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
