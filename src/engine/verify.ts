/** `image verify`: which images are damaged, and what to do about each. */
import { noSuchImage } from "../images/listing.ts";
import { listNames } from "../images/names.ts";
import { familiarReference } from "../images/reference.ts";
import { defaultImageId, type ImageStore, openImageStore } from "../images/store.ts";
import { Verifier } from "../images/verify.ts";
import type { Paths } from "../paths.ts";
import { ContainerStore, DamagedContainerError } from "./container_store.ts";
import { recover } from "./recovery.ts";

/** An image that was verified. */
export interface VerifiedImage {
  /** `sha256:…` */
  readonly id: string;
  /** As Docker shows them. */
  readonly names: readonly string[];
  /** What is wrong, a line each; none, if it is whole. */
  readonly problems: readonly string[];
  /** The way out. */
  readonly hint: string;
}

/**
 * Verifies images, one after the other.
 * @param wanted names and ids; all images, if there are none
 * @throws {NotFoundError}
 */
export async function* verifyImages(
  paths: Paths,
  wanted: readonly string[],
): AsyncGenerator<VerifiedImage, void, void> {
  recover(paths);
  const store = openImageStore(paths.root);
  const ids = wanted.length === 0 ? store.ids().sort() : wanted.map((text) => find(store, text));
  const verifier = new Verifier(store);
  for (const id of new Set(ids)) {
    const verdict = await verifier.verify(id);
    if (verdict === undefined) continue; // it was removed meanwhile
    const names = listNames(store.layout)
      .names.filter((name) => name.id === id)
      .map(({ reference }) => familiarReference(reference))
      .sort();
    const hint = wayOut(paths, store, id, verdict.damagedLayers);
    yield { id, names, problems: verdict.problems, hint };
  }
}

/** An image that is damaged is found as well. */
function find(store: ImageStore, text: string): string {
  const named = listNames(store.layout).names.find(({ reference }) =>
    [text, `${text}:latest`].includes(familiarReference(reference)),
  );
  const id = named?.id ?? store.findId(text);
  if (id === undefined || !store.ids().includes(id)) throw noSuchImage(text);
  return id;
}

/** A layer stays while another image, or a container, has it. */
function wayOut(
  paths: Paths,
  store: ImageStore,
  id: string,
  damagedLayers: readonly string[],
): string {
  const sharers = store.ids().filter((other) => other === id || has(store, other, damagedLayers));
  const containers = containersOf(paths, new Set(sharers));
  const again =
    id === defaultImageId()
      ? "its next use unpacks it again"
      : "then pull, load or import it again";
  const short = (digest: string) => digest.replace("sha256:", "").slice(0, 12);
  const removal = `\`mydocker rmi -f ${sharers.map(short).join(" ")}\``;
  return containers.length === 0
    ? `${removal}, ${again}`
    : `\`mydocker rm -f ${containers.map(short).join(" ")}\` and ${removal}, ${again}`;
}

function has(store: ImageStore, id: string, layers: readonly string[]): boolean {
  try {
    const diffIds = store.readConfig(id)?.rootfs.diff_ids ?? [];
    return layers.some((layer) => diffIds.includes(layer));
  } catch {
    return false; // damaged itself: it has no layers any more
  }
}

/** @returns ids of the containers that are made of some images */
function containersOf(paths: Paths, images: ReadonlySet<string>): string[] {
  const store = new ContainerStore(paths);
  return store.ids().filter((id) => {
    try {
      const imageId = store.read(id)?.imageId;
      return imageId !== undefined && images.has(imageId);
    } catch (error) {
      if (error instanceof DamagedContainerError) return false;
      throw error;
    }
  });
}
