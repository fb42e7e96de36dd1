/** Unpacking a layer into the store. Most commands unpack nothing, and do not load this. */
import { close, O, open, syncfs } from "../linux/fd.ts";
import { mkdir } from "../linux/file.ts";
import { fchmod } from "../linux/file_metadata.ts";
import { replaceFile } from "../linux/replace_file.ts";
import type { Staging } from "../staging/staging.ts";
import { TarReader } from "./tar.ts";
import { type Unpacked, Unpacker } from "./unpack.ts";

/** A layer that is complete, in a staging directory. */
export interface StagedLayer extends Unpacked {
  readonly path: string;
}

/** Unpacks a layer into a staging directory, from a source that hands over its bytes by calling `push`. */
export class LayerWriter implements Disposable {
  private readonly path: string;
  private readonly fd: number;
  private readonly unpacker: Unpacker;
  private readonly reader: TarReader;

  /**
   * @param durability `"files"`: fsync(2) each file, for a small layer; `"all"`: syncfs(2) at the
   * end; `"none"`: whoever places it does that
   * @param name of its directory in the staging directory, for several layers
   */
  constructor(
    staging: Pick<Staging, "path">,
    private readonly durability: "files" | "all" | "none",
    name = "layer",
  ) {
    this.path = `${staging.path}/${name}`;
    mkdir(this.path, 0o700);
    mkdir(`${this.path}/diff`, 0o755);
    this.fd = open(`${this.path}/diff`, O.O_RDONLY | O.O_DIRECTORY);
    // The container's "/", if the archive does not say otherwise; umask may have taken some of it.
    fchmod(this.fd, 0o755);
    this.unpacker = new Unpacker(this.fd, { syncFiles: durability === "files" });
    this.reader = new TarReader(this.unpacker);
  }

  push(chunk: Uint8Array): void {
    this.reader.push(chunk);
  }

  /** The archive's end was seen. */
  get ended(): boolean {
    return this.reader.ended;
  }

  end(): StagedLayer {
    this.reader.end();
    const unpacked = this.unpacker.finish();
    replaceFile(`${this.path}/layer.json`, `${JSON.stringify({ size: unpacked.size })}\n`, {
      durable: this.durability === "files",
    });
    if (this.durability === "all") syncfs(this.fd);
    return { ...unpacked, path: this.path };
  }

  [Symbol.dispose](): void {
    this.unpacker[Symbol.dispose]();
    close(this.fd);
  }
}
