/**
 * A blob from a registry, into a file that is called by its digest. It is hashed while it arrives;
 * what is there already, of a download that was interrupted, is hashed first, and the rest asked
 * for (RFC 9110, "Range Requests"). Only one process downloads a blob, the others wait for it.
 */
import { MydockerError } from "../errors.ts";
import { isErrno } from "../ffi/call.ts";
import { readDirectory } from "../linux/directory.ts";
import {
  close,
  flock,
  ftruncate,
  LOCK_EX,
  LOCK_NB,
  LOCK_SH,
  O,
  open,
  pread,
  seek,
  writeAll,
} from "../linux/fd.ts";
import {
  ifExists,
  lstat,
  makeDirectories,
  statFd,
  statIfExists,
  unlinkIfExists,
} from "../linux/file.ts";
import { lockFile } from "../staging/locks.ts";
import { holdBlob } from "./blobs.ts";
import type { StoreLayout } from "./layout.ts";
import type { Descriptor } from "./manifest.ts";
import type { Registry } from "./registry.ts";
import { ATTEMPTS, backOff, ConnectionError, chunks, discard } from "./registry_request.ts";

/** A blob that is all here and is what its digest says, not written out yet. */
export interface Downloaded extends Disposable {
  readonly path: string;
  /** It was here before. */
  readonly existed: boolean;
}

/** Who wants to know how a download goes. */
export interface DownloadWatcher {
  /** Nobody wants it any more. */
  readonly signal: AbortSignal;
  /** Another process downloads it. */
  waiting(): void;
  /** The file is there, and grows from now on. */
  opened(path: string): void;
  /** @param bytes that are here */
  progress(bytes: number): void;
  verifying(): void;
}

/** Between two looks at whether another process is done, in milliseconds. */
const WAIT = 100;
const CHUNK = 1 << 20;
/** Bytes that are asked for at a time. */
const PIECE = 16 << 20;
/** Bytes that make a try one that got somewhere. */
const ENOUGH = 1 << 20;
/** After so many milliseconds nobody goes on with an interrupted download. */
const STALE = 24 * 3600 * 1000;

/**
 * Brings a blob here.
 * @returns it, locked against removal until it is disposed of
 * @throws {MydockerError} when it is not what its descriptor says: then nothing of it is kept
 */
export async function download(
  layout: StoreLayout,
  registry: Registry,
  repository: string,
  blob: Descriptor,
  watcher: DownloadWatcher,
): Promise<Downloaded> {
  makeDirectories(layout.downloads);
  const path = layout.download(blob.digest);
  let waited = false;
  for (;;) {
    watcher.signal.throwIfAborted();
    const held = holdBlob(layout, blob.digest);
    if (held !== undefined) return present(layout, blob, held, watcher);
    const fd = takeFile(path, blob.size);
    if (fd === undefined) {
      if (!waited) watcher.waiting();
      waited = true;
      await Bun.sleep(WAIT);
      continue;
    }
    // Between the two looks another process may have moved its download to its place.
    const placed = holdBlob(layout, blob.digest);
    if (placed !== undefined) {
      if (statFd(fd).size < blob.size) unlinkIfExists(path); // locked by us alone
      close(fd);
      return present(layout, blob, placed, watcher);
    }
    try {
      // By descriptor: another process with the same image may move the file to its place.
      watcher.opened(`/proc/${process.pid}/fd/${fd}`);
      await new BlobDownload(fd, registry, repository, blob, watcher).run();
      flock(fd, LOCK_SH);
      return { path, existed: false, [Symbol.dispose]: () => close(fd) };
    } catch (error) {
      // What broke off, or was broken off, is gone on with the next time.
      if (!(error instanceof ConnectionError) && !watcher.signal.aborted) unlinkIfExists(path);
      close(fd);
      throw error;
    }
  }
}

/** What a blob that is in its place is for who wants to download it. */
function present(
  layout: StoreLayout,
  { digest }: Descriptor,
  held: Disposable,
  watcher: DownloadWatcher,
): Downloaded {
  const path = layout.blob(digest);
  watcher.opened(path);
  return { path, existed: true, [Symbol.dispose]: () => held[Symbol.dispose]() };
}

/**
 * Opens and locks a download: alone, to make it grow, or with others that use it when it is whole.
 * @returns undefined while another process makes it grow
 */
function takeFile(path: string, size: number): number | undefined {
  const fd = open(path, O.O_RDWR | O.O_CREAT | O.O_NOFOLLOW, 0o600);
  try {
    flock(fd, LOCK_EX | LOCK_NB);
  } catch (error) {
    try {
      if (!isErrno(error, "EAGAIN")) throw error;
      if (statFd(fd).size !== size) throw error;
      flock(fd, LOCK_SH | LOCK_NB);
    } catch (second) {
      close(fd);
      if (isErrno(second, "EAGAIN")) return undefined;
      throw second;
    }
  }
  // It may have become a blob, or been removed, in between.
  if (ifExists(() => lstat(path))?.ino === statFd(fd).ino) return fd;
  close(fd);
  return undefined;
}

/** Removes a download, unless another process uses it. */
export function removeDownload(layout: StoreLayout, digest: string): void {
  const path = layout.download(digest);
  using lock = lockFile(path, LOCK_EX | LOCK_NB);
  if (lock !== undefined) unlinkIfExists(path);
}

/** Removes interrupted downloads that nobody went on with for a day. */
export function removeStaleDownloads(layout: StoreLayout, now: number = Date.now()): void {
  for (const name of ifExists(() => readDirectory(layout.downloads)) ?? []) {
    const path = `${layout.downloads}/${name}`;
    const found = statIfExists(path);
    if (found === undefined || now - found.mtime * 1000 < STALE) continue;
    using lock = lockFile(path, LOCK_EX | LOCK_NB);
    if (lock !== undefined) unlinkIfExists(path);
  }
}

/** One blob, from the first to the last try. */
class BlobDownload {
  private hasher = new Bun.CryptoHasher("sha256");
  /** Bytes that are in the file, and hashed. */
  private length = 0;
  /** Some of them are of an earlier command. */
  private resumed = false;

  constructor(
    private readonly fd: number,
    private readonly registry: Registry,
    private readonly repository: string,
    private readonly blob: Descriptor,
    private readonly watcher: DownloadWatcher,
  ) {}

  async run(): Promise<void> {
    await this.readPresent();
    for (;;) {
      await this.fill();
      this.watcher.verifying();
      const digest = `sha256:${this.hasher.digest("hex")}`;
      if (digest === this.blob.digest) return;
      if (!this.resumed)
        throw new MydockerError(
          `the registry ${this.registry.domain} sent something else for the blob ${this.blob.digest}: it has the digest ${digest}`,
        );
      // What was there may be what is wrong.
      this.restart();
    }
  }

  private restart(): void {
    this.resumed = false;
    this.length = 0;
    this.hasher = new Bun.CryptoHasher("sha256");
    ftruncate(this.fd, 0);
    seek(this.fd, 0);
  }

  private async readPresent(): Promise<void> {
    const { size } = statFd(this.fd);
    if (size === 0) return;
    if (size > this.blob.size) {
      this.restart();
      return;
    }
    this.resumed = true;
    const buffer = new Uint8Array(CHUNK);
    while (this.length < size) {
      const count = pread(this.fd, buffer, this.length);
      if (count === 0) break;
      this.hasher.update(buffer.subarray(0, count));
      this.length += count;
      this.watcher.progress(this.length);
      await Bun.sleep(0); // others download meanwhile
    }
    seek(this.fd, this.length);
  }

  /** Asks until all of it is here. */
  private async fill(): Promise<void> {
    let failures = 0;
    while (this.length < this.blob.size) {
      const before = this.length;
      try {
        await this.ask();
      } catch (error) {
        if (!(error instanceof ConnectionError)) throw error;
        failures = this.length - before >= ENOUGH ? 1 : failures + 1;
        if (failures >= ATTEMPTS) throw error;
        await Bun.sleep(backOff(failures));
      }
    }
  }

  private async ask(): Promise<void> {
    const { blob, registry, repository } = this;
    const end = Math.min(blob.size, this.length + PIECE);
    const response = await registry.expect(
      {
        path: `/v2/${repository}/blobs/${blob.digest}`,
        scopes: [`repository:${repository}:pull`],
        headers: rangeHeader(this.length, end, blob.size),
      },
      [200, 206, 416],
    );
    if (response.status === 416 || (response.status === 206 && !this.continues(response))) {
      await discard(response);
      if (this.length === 0)
        throw new MydockerError(
          `the registry ${registry.domain} sends only a part of the blob ${blob.digest}`,
        );
      this.restart();
      return;
    }
    // A registry that knows no ranges begins anew.
    if (response.status === 200 && this.length > 0) this.restart();
    const encoding = response.headers.get("content-encoding");
    if (encoding !== null && encoding !== "identity")
      throw new MydockerError(
        `the registry ${registry.domain} sends the blob ${blob.digest} encoded as ${JSON.stringify(encoding)}`,
      );
    const declared = response.headers.get("content-length");
    const whole = response.status === 200 ? blob.size : end;
    if (declared !== null && Number(declared) !== whole - this.length) {
      await discard(response);
      throw this.wrongSize(this.length + Number(declared));
    }
    for await (const chunk of chunks(response, registry.reading)) {
      this.watcher.signal.throwIfAborted();
      if (this.length + chunk.length > blob.size) throw this.wrongSize(undefined);
      this.hasher.update(chunk);
      writeAll(this.fd, chunk, "the download");
      this.length += chunk.length;
      this.watcher.progress(this.length);
    }
    if (this.length < whole)
      throw new ConnectionError(
        `the registry ${registry.domain} sent ${this.length} bytes of the blob ${blob.digest}, which has ${blob.size}`,
      );
  }

  private continues(response: Response): boolean {
    const range = /^bytes (\d+)-/.exec(response.headers.get("content-range") ?? "");
    return range !== null && Number(range[1]) === this.length;
  }

  private wrongSize(size: number | undefined): MydockerError {
    const { blob, registry } = this;
    return new MydockerError(
      `the registry ${registry.domain} sends ${size ?? `more than ${blob.size}`} bytes for the blob ${blob.digest}, of which the manifest says that it has ${blob.size}`,
    );
  }
}

/** What asks for a part of a blob, unless it is all of it (RFC 9110, 14.2). */
function rangeHeader(from: number, end: number, size: number): Record<string, string> {
  if (end < size) return { Range: `bytes=${from}-${end - 1}` };
  return from === 0 ? {} : { Range: `bytes=${from}-` };
}
