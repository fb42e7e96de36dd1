/**
 * A container's own layer as a layer's tar: overlayfs' whiteouts and opaque directories become those
 * of the OCI image specification ("layer.md", "Representing Changes").
 */
import { MydockerError } from "../errors.ts";
import type { ChunkSource } from "./chunk_source.ts";
import type { TarEntry, TarSink } from "./tar_entry.ts";
import { quoteName } from "./tar_header.ts";
import { TarWriter } from "./tar_writer.ts";
import { type Found, type Steps, TreeReader } from "./tree_reader.ts";

const OPAQUE = /^(?:trusted|user)\.overlay\.opaque$/;
/** What is elsewhere in lower layers, without which the upper one is not complete. */
const ELSEWHERE = /^(?:trusted|user)\.overlay\.(?:redirect|metacopy)$/;
const OVERLAY = /^(?:trusted|user)\.overlay\./;
/** "y", for a directory that hides what lower layers have there. */
const YES = 0x79;
/** Go's archive/tar ends an archive, too, with two blocks of zeroes: what nothing was changed in is no more. */
const EMPTY_TAR = 1024;

/** Turns what overlayfs has into what a layer's tar has. */
class LayerSink implements TarSink {
  constructor(private readonly tar: TarWriter) {}

  entry(entry: TarEntry): void {
    if (entry.type === "character" && entry.devMajor === 0 && entry.devMinor === 0) {
      const slash = entry.path.lastIndexOf("/") + 1;
      this.#empty(entry, `${entry.path.slice(0, slash)}.wh.${entry.path.slice(slash)}`, 0o600);
      return;
    }
    if (entry.xattrs.some(([name]) => ELSEWHERE.test(name)))
      throw new MydockerError(
        `overlayfs keeps a part of ${quoteName(entry.path)} in another layer (redirect_dir or metacopy is on)`,
        {
          hint: "switch both off in /sys/module/overlay/parameters, and make the container anew",
        },
      );
    const xattrs = entry.xattrs.filter(([name]) => !OVERLAY.test(name));
    this.tar.entry({ ...entry, xattrs });
    const isOpaque = entry.xattrs.some(([name, [value]]) => OPAQUE.test(name) && value === YES);
    if (entry.type === "directory" && isOpaque)
      this.#empty(entry, `${entry.path}/.wh..wh..opq`, entry.mode & 0o777);
  }

  data(bytes: Uint8Array, offset: number): void {
    this.tar.data(bytes, offset);
  }

  endFile(): void {
    this.tar.endFile();
  }

  /** With Docker's modes: the same layer has the same digest more often. */
  #empty(entry: TarEntry, path: string, mode: number): void {
    this.tar.entry({ ...entry, type: "file", path, size: 0, mode, xattrs: [] });
    this.tar.endFile();
  }
}

/** The tar of a container's own layer, made while it is read. */
export class LayerSource implements ChunkSource {
  readonly #tar: TarWriter;
  readonly #steps: Steps;
  #chunks: Uint8Array[] = [];
  #isRead = false;

  /**
   * @param upper descriptor of the layer's directory
   * @param select see `TreeOptions`
   * @param warn is told of what is left out
   * @param onRead everything has been read
   */
  constructor(
    upper: number,
    select: (found: Found) => boolean,
    warn: (message: string) => void,
    private readonly onRead: () => void,
  ) {
    this.#tar = new TarWriter((bytes) => this.#chunks.push(bytes.slice()));
    const sink = new LayerSink(this.#tar);
    this.#steps = new TreeReader(sink, { select, warn, isLayer: true }).readDirectory(upper);
  }

  /** Whether there is nothing in it; once everything is read. */
  get isEmpty(): boolean {
    return this.#isRead && this.#tar.length === EMPTY_TAR;
  }

  next(): Uint8Array {
    while (this.#chunks.length === 0 && !this.#isRead) {
      if (this.#steps.next().done !== true) continue;
      this.#isRead = true;
      this.#tar.finish();
      this.onRead();
    }
    return this.#chunks.shift() ?? new Uint8Array(0);
  }
}
