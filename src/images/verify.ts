/** `image verify`: everything that is stored of an image is read again, and compared with its digests. */
import { MydockerError } from "../errors.ts";
import { SysError } from "../ffi/call.ts";
import { readDirectory } from "../linux/directory.ts";
import { close, O, open } from "../linux/fd.ts";
import { ifExists, readFileBytes, statFd } from "../linux/file.ts";
import { storedManifests } from "./blobs.ts";
import { type ChunkSource, RangeSource, StreamSource } from "./chunk_source.ts";
import { readArchive } from "./decompress.ts";
import { defaultImage, readDefaultImageLayer } from "./default_image.ts";
import { ExpectedTree } from "./expected_tree.ts";
import { layerSize } from "./layer.ts";
import { hexOf, sha256Hex } from "./layout.ts";
import { type Descriptor, parseManifest } from "./manifest.ts";
import { defaultImageId, type ImageStore } from "./store.ts";
import { TarReader } from "./tar.ts";
import { compareTree } from "./tree_check.ts";

/** What is wrong, a line each; nothing, if the image is whole. */
export type Problems = readonly string[];

/** What came of an image. */
export interface Verdict {
  readonly problems: Problems;
  /** Diff ids of layers whose files are not what they should be: other images may have them, too. */
  readonly damagedLayers: readonly string[];
}

/** Differences of a layer that are told of; the others are counted. */
const SHOWN = 3;

/** Verifies images; what several of them have is read once. */
export class Verifier {
  /** By blob and diff id. */
  readonly #blobs = new Map<string, Promise<BlobVerdict>>();
  /** By diff id: a layer is compared with one archive of it, since all have the same tar. */
  readonly #trees = new Map<string, Problems>();

  constructor(private readonly store: ImageStore) {}

  /** @returns undefined when there is no such image (any more) */
  async verify(id: string): Promise<Verdict | undefined> {
    using held = this.store.hold(id);
    if (held === undefined && !this.store.ids().includes(id)) return undefined;
    try {
      return await this.#verifyHeld(id);
    } catch (error) {
      if (!(error instanceof MydockerError || error instanceof SysError)) throw error;
      const problem = error.message.replace(`the image ${id} is damaged: `, "");
      return { problems: [problem], damagedLayers: [] };
    }
  }

  async #verifyHeld(id: string): Promise<Verdict> {
    const { store } = this;
    const config = store.get(id)?.config;
    if (config === undefined) return { problems: ["it is gone"], damagedLayers: [] };
    const diffIds = config.rootfs.diff_ids;
    const problems: string[] = [];
    const { layout } = store;
    for (const file of ifExists(() => readDirectory(layout.manifests(id))) ?? []) {
      const path = `${layout.manifests(id)}/${file}`;
      if (`${sha256Hex(readFileBytes(path))}.json` !== file)
        problems.push(`${path} does not have that digest`);
    }
    const manifests = storedManifests(layout, id);
    const isDefault = id === defaultImageId();
    if (manifests.length === 0 && !isDefault)
      problems.push(`it has no manifest in ${layout.manifests(id)}`);
    for (const { bytes, digest } of manifests) {
      const manifest = parseManifest(bytes, undefined, `the manifest ${digest}`);
      if (manifest.kind !== "manifest" || manifest.layers.length !== diffIds.length) {
        problems.push(`its manifest ${digest} does not have its ${diffIds.length} layers`);
        continue;
      }
      for (const [index, layer] of manifest.layers.entries())
        problems.push(...(await this.#blob(layer, diffIds[index] as string)));
    }
    if (isDefault) await this.#embedded();
    for (const diffId of diffIds) {
      problems.push(...(this.#trees.get(diffId) ?? []));
      layerSize(layout, diffId); // throws when its file is damaged
    }
    const damagedLayers = diffIds.filter((diffId) => (this.#trees.get(diffId) ?? []).length > 0);
    return { problems: [...new Set(problems)], damagedLayers };
  }

  async #blob(layer: Descriptor, diffId: string): Promise<Problems> {
    const key = `${layer.digest} ${diffId}`;
    const known = this.#blobs.get(key) ?? this.#readBlob(layer, diffId);
    this.#blobs.set(key, known);
    const { problems, tree } = await known;
    if (tree !== undefined) this.#compare(diffId, tree);
    return problems;
  }

  #compare(diffId: string, tree: ExpectedTree): void {
    if (this.#trees.has(diffId)) return;
    const path = this.store.layout.diff(diffId);
    const all = compareTree(path, tree);
    const layer = `in its layer ${hexOf(diffId).slice(0, 12)}`;
    const shown = all.slice(0, SHOWN).map((what) => `${layer} ${what}`);
    const more = all.length - shown.length;
    this.#trees.set(
      diffId,
      more === 0 ? shown : [...shown, `${layer} there ${more === 1 ? "is 1" : `are ${more}`} more`],
    );
  }

  async #readBlob({ digest, size }: Descriptor, diffId: string): Promise<BlobVerdict> {
    const path = this.store.layout.blob(digest);
    const fd = ifExists(() => open(path, O.O_RDONLY | O.O_NOFOLLOW));
    if (fd === undefined) return { problems: [`its blob ${path} is missing`] };
    try {
      const found = statFd(fd).size;
      if (found !== size)
        return { problems: [`its blob ${path} has ${found} bytes, and not ${size}`] };
      const read = await readLayer(new RangeSource(fd, 0, size));
      if (read.digest !== digest)
        return { problems: [`its blob ${path} does not have that digest`] };
      if (read.diffId !== diffId)
        return { problems: [`its blob ${path} is not of the layer ${diffId}`] };
      return { problems: [], tree: read.tree };
    } catch (error) {
      if (!(error instanceof MydockerError || error instanceof SysError)) throw error;
      return { problems: [`its blob ${path} is damaged: ${error.message}`] };
    } finally {
      close(fd);
    }
  }

  /** The default image has no blob: its layer is in the executable. */
  async #embedded(): Promise<void> {
    const [layer] = defaultImage.layers;
    if (layer === undefined || this.#trees.has(layer.diffId)) return;
    const chunks = (async function* () {
      yield readDefaultImageLayer();
    })();
    const { tree } = await readLayer(new StreamSource(chunks));
    this.#compare(layer.diffId, tree);
  }
}

interface BlobVerdict {
  readonly problems: Problems;
  /** Undefined when the blob is not what it should be. */
  readonly tree?: ExpectedTree;
}

async function readLayer(source: ChunkSource) {
  const blob = new Bun.CryptoHasher("sha256");
  const tar = new Bun.CryptoHasher("sha256");
  const tree = new ExpectedTree();
  const reader = new TarReader(tree);
  await readArchive(
    source,
    (chunk) => {
      tar.update(chunk);
      if (!reader.ended) reader.push(chunk);
    },
    { raw: (chunk) => blob.update(chunk) },
  );
  reader.end();
  const [digest, diffId] = [blob.digest("hex"), tar.digest("hex")];
  return { digest: `sha256:${digest}`, diffId: `sha256:${diffId}`, tree };
}
