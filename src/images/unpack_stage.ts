/**
 * The process that unpacks layers for `pull`: the executable again, so that inflating, hashing and
 * writing use further processors (docs/decisions/parallel-unpack.md). It ends with its parent.
 */
import { MydockerError } from "../errors.ts";
import { decodeBytes, encodeBytes } from "../ffi/bytes.ts";
import { close, O, open, read, writeAll } from "../linux/fd.ts";
import { PR_SET_PDEATHSIG, prctl, SIGNALS, umask } from "../linux/process.ts";
import type { ChunkSource } from "./chunk_source.ts";
import { unpackLayer } from "./layer_stream.ts";
import type { UnpackAnswer, UnpackJob } from "./unpack_protocol.ts";

/** Between two looks at whether a file has grown, in milliseconds. */
const WAIT = 5;
/** Between two words of progress, in milliseconds. */
const PROGRESS = 100;

/** Bytes that are read at a time: for a decompressor, which keeps them for a while, and otherwise. */
const KEPT_CHUNK = 65536;
const CHUNK = 1 << 20;

/** Its whole work: jobs, one after the other, until there are no more. */
export async function runUnpackStage(): Promise<number> {
  prctl(PR_SET_PDEATHSIG, SIGNALS.SIGKILL);
  umask(0o022);
  let rest = "";
  for await (const chunk of Bun.stdin.stream()) {
    const lines = (rest + decodeBytes(chunk)).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) await work(JSON.parse(line));
  }
  return 0;
}

async function work(job: UnpackJob): Promise<void> {
  try {
    using source = new GrowingFile(job);
    const { diffId, size, entries, path, warnings } = await unpackLayer(
      source,
      { path: job.parent },
      job.name,
    );
    answer({ kind: "done", diffId, size, entries, path, warnings });
  } catch (error) {
    const hint = error instanceof MydockerError ? error.hint : undefined;
    answer({
      kind: "failed",
      message: error instanceof Error ? error.message : String(error),
      ...(hint === undefined ? {} : { hint }),
    });
  }
}

function answer(text: UnpackAnswer): void {
  writeAll(1, encodeBytes(`${JSON.stringify(text)}\n`), "the answer");
}

/** A file that another process writes, to the size that it will have. */
class GrowingFile implements ChunkSource, Disposable {
  private readonly fd: number;
  private buffer: Uint8Array | undefined;
  private length = 0;
  private said = 0;

  constructor(private readonly job: UnpackJob) {
    this.fd = open(job.path, O.O_RDONLY); // through a link in /proc, too
  }

  async next(kept: boolean): Promise<Uint8Array> {
    this.buffer = kept ? undefined : this.buffer;
    this.buffer ??= new Uint8Array(kept ? KEPT_CHUNK : CHUNK);
    for (;;) {
      const left = this.job.size - this.length;
      if (left === 0) return this.buffer.subarray(0, 0);
      const count = read(this.fd, this.buffer.subarray(0, left));
      this.length += count;
      this.say();
      if (count > 0) return this.buffer.subarray(0, count);
      await Bun.sleep(WAIT);
    }
  }

  private say(): void {
    const now = performance.now();
    if (now - this.said < PROGRESS) return;
    this.said = now;
    answer({ kind: "progress", bytes: this.length });
  }

  [Symbol.dispose](): void {
    close(this.fd);
  }
}
