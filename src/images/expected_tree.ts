/**
 * What an unpacked layer has to look like, by its tar: the rules of {@link Unpacker}, without
 * writing anything. Content is known by a digest that does not depend on where a file has holes.
 */
import { placeOf } from "./anchored.ts";
import type { TarEntry, TarSink } from "./tar_entry.ts";
import { WHITEOUT, WHITEOUT_META, WHITEOUT_OPAQUE } from "./unpack.ts";

/** Something of a tree; several paths may have the same one, as hard links. */
export interface ExpectedNode {
  /** Undefined for what no member says anything of: a directory on the way to one. */
  entry: TarEntry | undefined;
  readonly kind: "directory" | "whiteout" | "other";
  /** Of a file. */
  content?: string;
  /** Of a directory: it hides what lower layers have there. */
  isOpaque: boolean;
}

/** Blocks of zeroes say nothing, whether they are there or a hole. File systems have none that are larger. */
const BLOCK = 4096;
const ZEROES = new Uint8Array(BLOCK);

/** A digest of a file's content, given piece by piece with ascending offsets. */
export class ContentDigest {
  readonly #hasher = new Bun.CryptoHasher("sha256");
  readonly #block = new Uint8Array(BLOCK);
  readonly #index = new BigUint64Array(1);
  #at = -1;

  add(bytes: Uint8Array, offset: number): void {
    for (let from = 0; from < bytes.length; ) {
      const position = offset + from;
      const block = Math.floor(position / BLOCK);
      const within = position % BLOCK;
      if (block !== this.#at) this.#flush();
      const count = Math.min(BLOCK - within, bytes.length - from);
      const part = bytes.subarray(from, from + count);
      from += count;
      if (count === BLOCK) {
        this.#take(part, block);
        continue;
      }
      this.#at = block;
      this.#block.set(part, within);
    }
  }

  end(): string {
    this.#flush();
    return this.#hasher.digest("hex");
  }

  #flush(): void {
    if (this.#at === -1) return;
    this.#take(this.#block, this.#at);
    this.#block.fill(0);
    this.#at = -1;
  }

  #take(block: Uint8Array, index: number): void {
    if (Buffer.compare(block, ZEROES) === 0) return;
    this.#index[0] = BigInt(index);
    this.#hasher.update(this.#index);
    this.#hasher.update(block);
  }
}

/** Takes a layer's members. Afterwards {@link nodes} has what there is, by paths without slashes around them. */
export class ExpectedTree implements TarSink {
  readonly nodes = new Map<string, ExpectedNode>([["", implied()]]);
  #file: { readonly node: ExpectedNode; readonly digest: ContentDigest } | undefined;

  entry(entry: TarEntry): void {
    const { directory, name } = placeOf(entry.path);
    const path = join(directory, name);
    // Below what the layer makes a link or a file there is nothing to hide: umoci writes such whiteouts.
    if (name.startsWith(WHITEOUT) && !this.#canHold(directory)) return;
    if (path !== "") this.#makeParents(directory);
    if (name.startsWith(WHITEOUT)) this.#whiteout(directory, name);
    else if (entry.type === "directory") this.#directory(path, entry);
    else if (entry.type === "hardlink") this.#hardLink(path, entry);
    else {
      const node: ExpectedNode = { entry, kind: "other", isOpaque: false };
      this.#replace(path, node);
      if (entry.type === "file") this.#file = { node, digest: new ContentDigest() };
    }
  }

  data(bytes: Uint8Array, offset: number): void {
    this.#file?.digest.add(bytes, offset);
  }

  endFile(): void {
    if (this.#file !== undefined) this.#file.node.content = this.#file.digest.end();
    this.#file = undefined;
  }

  /** Whether a path is a directory, or can become one. */
  #canHold(directory: string): boolean {
    let path = directory;
    while (!this.nodes.has(path)) path = parentOf(path);
    return this.nodes.get(path)?.kind === "directory";
  }

  #makeParents(directory: string): void {
    for (let path = directory; path !== "" && !this.nodes.has(path); path = parentOf(path))
      this.nodes.set(path, implied());
  }

  #directory(path: string, entry: TarEntry): void {
    const before = this.nodes.get(path);
    if (before?.kind === "directory") {
      // Attributes of before stay, but for those that are set anew.
      const set = new Set(entry.xattrs.map(([name]) => name));
      const kept = (before.entry?.xattrs ?? []).filter(([name]) => !set.has(name));
      before.entry = { ...entry, xattrs: [...kept, ...entry.xattrs] };
      return;
    }
    const isOpaque = before?.kind === "whiteout";
    this.nodes.set(path, { entry, kind: "directory", isOpaque });
  }

  #hardLink(path: string, { linkTarget }: TarEntry): void {
    const target = placeOf(linkTarget);
    const node = this.nodes.get(join(target.directory, target.name));
    if (node !== undefined && node !== this.nodes.get(path)) this.#replace(path, node);
  }

  #whiteout(directory: string, name: string): void {
    if (name === WHITEOUT_OPAQUE) {
      const node = this.nodes.get(directory);
      if (node !== undefined) node.isOpaque = true;
      return;
    }
    if (name.startsWith(WHITEOUT_META)) return;
    const hidden = join(directory, name.slice(WHITEOUT.length));
    const node = this.nodes.get(hidden);
    if (node === undefined)
      this.nodes.set(hidden, { entry: undefined, kind: "whiteout", isOpaque: false });
    else if (node.kind === "directory") node.isOpaque = true;
  }

  #replace(path: string, node: ExpectedNode): void {
    if (this.nodes.get(path)?.kind === "directory")
      for (const inner of this.nodes.keys())
        if (inner.startsWith(`${path}/`)) this.nodes.delete(inner);
    this.nodes.set(path, node);
  }
}

const implied = (): ExpectedNode => ({ entry: undefined, kind: "directory", isOpaque: false });
const join = (directory: string, name: string) =>
  directory === "" ? name : name === "" ? directory : `${directory}/${name}`;
const parentOf = (path: string) => path.slice(0, Math.max(0, path.lastIndexOf("/")));
