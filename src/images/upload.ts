/**
 * A blob to a registry (distribution specification, "Pushing blobs"): by one PATCH that streams and
 * a PUT that ends it, as Docker does, so that every registry takes it.
 */
import { MydockerError } from "../errors.ts";
import type { Descriptor } from "./manifest.ts";
import type { Registry } from "./registry.ts";
import {
  ATTEMPTS,
  backOff,
  ConnectionError,
  discard,
  type StreamedBody,
} from "./registry_request.ts";
import type { LayerFile } from "./stored_image.ts";

/** A blob that is to be there. */
export interface Upload {
  readonly repository: string;
  readonly blob: Pick<Descriptor, "digest" | "size">;
  /** Its bytes, from the first one; compared with the digest while they are sent. */
  open(): LayerFile;
  /** A repository at the same registry that may have it. */
  readonly mountFrom?: string | undefined;
  /** @param bytes that were sent */
  progress?(bytes: number): void;
}

/** What came of it. */
export type Uploaded = "existed" | "mounted" | "pushed";

/** Leave to read and to write a repository. */
export const pushScope = (repository: string): string => `repository:${repository}:pull,push`;

/** Bytes that are sent at a time. */
const CHUNK = 1 << 18;

/** Brings a blob to a registry, unless it is there. @throws {MydockerError} */
export async function uploadBlob(registry: Registry, upload: Upload): Promise<Uploaded> {
  const { repository, blob } = upload;
  const path = `/v2/${repository}/blobs/${blob.digest}`;
  const scopes = [pushScope(repository)];
  const found = await registry.send({ path, method: "HEAD", scopes });
  await discard(found);
  // Some answer 401 or 403 to what they do not have; the upload says what is really wrong.
  if (found.status === 200) return "existed";
  for (let attempt = 1; ; attempt++) {
    try {
      return await tryUpload(registry, upload);
    } catch (error) {
      if (!(error instanceof ConnectionError) || error.final || attempt === ATTEMPTS) throw error;
    }
    await Bun.sleep(backOff(attempt));
  }
}

async function tryUpload(registry: Registry, upload: Upload): Promise<Uploaded> {
  const { repository, blob } = upload;
  const scopes = [pushScope(repository)];
  const begun = await begin(registry, upload);
  await discard(begun);
  if (begun.status === 201) return "mounted";
  const sent = new SentBlob(upload);
  let patched: Response;
  try {
    patched = await registry.expect(
      {
        path: locationOf(begun, registry),
        method: "PATCH",
        headers: { "Content-Type": "application/octet-stream" },
        body: sent,
        scopes,
        once: true,
      },
      [201, 202, 204],
    );
  } catch (error) {
    throw sent.error ?? error; // what broke off may be our own end
  }
  await discard(patched);
  const end = locationOf(patched, registry);
  const ended = await registry.expect(
    {
      path: `${end}${end.includes("?") ? "&" : "?"}digest=${blob.digest}`,
      method: "PUT",
      headers: { "Content-Type": "application/octet-stream" },
      scopes,
      once: true,
    },
    [201, 204],
  );
  await discard(ended);
  return "pushed";
}

/** Asks for an upload, or for what makes one unnecessary. */
async function begin(registry: Registry, upload: Upload): Promise<Response> {
  const { repository, blob, mountFrom } = upload;
  const path = `/v2/${repository}/blobs/uploads/`;
  const scopes = [pushScope(repository)];
  if (mountFrom !== undefined) {
    const from = encodeURIComponent(mountFrom);
    const response = await registry.send({
      path: `${path}?mount=${blob.digest}&from=${from}`,
      method: "POST",
      scopes: [...scopes, `repository:${mountFrom}:pull`],
    });
    if (response.status === 201 || response.status === 202) return response;
    await discard(response);
  }
  return await registry.expect({ path, method: "POST", scopes }, [202]);
}

/** Where the upload goes on: a path at the registry, or an address elsewhere. */
function locationOf(response: Response, { domain }: Registry): string {
  const location = response.headers.get("location");
  if (location === null || !URL.canParse(location, "http://registry.invalid"))
    throw new MydockerError(`the registry ${domain} does not say where to upload to`);
  return location;
}

/** The bytes of a blob on their way. */
class SentBlob implements StreamedBody {
  private readAt = 0;
  /** What was wrong with the bytes. */
  error: unknown;

  constructor(private readonly upload: Upload) {}

  readonly lastRead = (): number => this.readAt;

  readonly stream = (): ReadableStream<Uint8Array> => {
    const { upload } = this;
    const { blob } = upload;
    const file = upload.open();
    const hasher = new Bun.CryptoHasher("sha256");
    let length = 0;
    let pending = new Uint8Array(0);
    this.error = undefined;
    return new ReadableStream<Uint8Array>({
      pull: async (controller) => {
        try {
          if (pending.length === 0) pending = new Uint8Array(await file.source.next(false));
          const chunk = pending.subarray(0, CHUNK);
          pending = pending.subarray(CHUNK);
          this.readAt = performance.now();
          if (chunk.length === 0) {
            file[Symbol.dispose]();
            const digest = `sha256:${hasher.digest("hex")}`;
            if (length !== blob.size || digest !== blob.digest)
              throw new MydockerError(
                `the blob ${blob.digest} is damaged: its bytes have the digest ${digest}`,
              );
            controller.close();
            return;
          }
          hasher.update(chunk);
          length += chunk.length;
          controller.enqueue(chunk);
          upload.progress?.(length);
        } catch (error) {
          this.error = error;
          controller.error(error);
        }
      },
      cancel: () => file[Symbol.dispose](),
    });
  };
}
