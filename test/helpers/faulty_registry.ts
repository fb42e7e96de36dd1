/**
 * A registry of faults: it has images, and does with each request what a test says. It speaks HTTP
 * on a plain socket, so that an answer can be cut off, reset, slow, or without an end.
 */

import { createHash, randomBytes } from "node:crypto";
import { createServer, type Socket } from "node:net";
import { archive } from "./tar_builder.ts";

export const sha256 = (bytes: string | Uint8Array): string =>
  `sha256:${createHash("sha256").update(bytes).digest("hex")}`;

const OCI = "application/vnd.oci.image";

/** An image in a registry; what is wrong with it is up to the test. */
export interface TestImage {
  readonly manifest: string;
  readonly type: string;
  /** By digest; the configuration too. */
  readonly blobs: ReadonlyMap<string, Uint8Array>;
  /** Of its layer's blob. */
  readonly layer: string;
}

/** How an image is made otherwise than it should be. */
export interface ImageOptions {
  /** Bytes of its only file, which nothing compresses. */
  readonly size?: number;
  readonly compress?: (tar: Uint8Array) => Uint8Array;
  readonly layerType?: string;
  readonly diffId?: string;
  /** Changes the manifest before it gets its digest. */
  readonly edit?: (manifest: Record<string, unknown>) => void;
  readonly architecture?: string;
}

/** An image of one layer with one file. */
export function testImage(options: ImageOptions = {}): TestImage {
  const tar = archive({ name: "file", data: randomBytes(options.size ?? 200_000) });
  const compress = options.compress ?? ((bytes: Uint8Array) => Bun.gzipSync(new Uint8Array(bytes)));
  const layer = compress(tar);
  const config = Buffer.from(
    JSON.stringify({
      architecture: options.architecture ?? (process.arch === "arm64" ? "arm64" : "amd64"),
      os: "linux",
      config: {},
      rootfs: { type: "layers", diff_ids: [options.diffId ?? sha256(tar)] },
    }),
  );
  const layerType = options.layerType ?? `${OCI}.layer.v1.tar+gzip`;
  const manifest: Record<string, unknown> = {
    schemaVersion: 2,
    mediaType: `${OCI}.manifest.v1+json`,
    config: { mediaType: `${OCI}.config.v1+json`, digest: sha256(config), size: config.length },
    layers: [{ mediaType: layerType, digest: sha256(layer), size: layer.length }],
  };
  options.edit?.(manifest);
  return {
    manifest: JSON.stringify(manifest),
    type: String(manifest["mediaType"] ?? `${OCI}.manifest.v1+json`),
    blobs: new Map([
      [sha256(config), config],
      [sha256(layer), layer],
    ]),
    layer: sha256(layer),
  };
}

/** A request, and how many there were for the same thing before it. */
export interface Asked {
  readonly method: string;
  /** `/v2/name/blobs/sha256:…` */
  readonly target: string;
  readonly kind: "manifest" | "blob" | "other";
  readonly headers: Readonly<Record<string, string>>;
  readonly before: number;
  /** milliseconds */
  readonly at: number;
}

/** An answer. */
export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
  /** After so many bytes of the body the connection is closed. */
  readonly cut?: number;
  /** Milliseconds between two bytes of the body. */
  readonly pace?: number;
  /** The body begins again when it is over. */
  readonly endless?: boolean;
  /** So many bytes are sent, the others, or with `cut` none, when this is settled. */
  readonly hold?: { readonly after: number; readonly until: Promise<unknown> };
}

/** What is done instead of what is usual; `whole` is that without a range. */
export type Fault = (asked: Asked, usual: Answer, whole: Answer) => Answer;

/** Shorthand for an answer. */
export const answer = (
  status: number,
  headers: Record<string, string> = {},
  body: string | Uint8Array = "",
): Answer => ({ status, headers, body: Buffer.from(body) });

/** The registry. */
export class FaultyRegistry implements AsyncDisposable {
  /** Every request, in order. */
  readonly requests: Asked[] = [];
  private readonly images = new Map<string, { image: TestImage; fault: Fault | undefined }>();
  /** Answers to what is no image, by path. */
  readonly routes = new Map<string, Answer>();
  private readonly sockets = new Set<Socket>();
  private readonly server = createServer((socket) => this.serve(socket));
  /** `127.0.0.1:PORT` */
  host = "";

  static async start(): Promise<FaultyRegistry> {
    const registry = new FaultyRegistry();
    await new Promise<void>((resolve) => registry.server.listen(0, "127.0.0.1", resolve));
    const address = registry.server.address();
    if (address === null || typeof address === "string") throw new Error("no port");
    registry.host = `127.0.0.1:${address.port}`;
    return registry;
  }

  /** Has an image under a name. @returns its reference */
  add(name: string, image: TestImage, fault?: Fault): string {
    this.images.set(name, { image, fault });
    return `${this.host}/${name}`;
  }

  /** Requests for what a repository has. */
  asked(name: string, kind?: Asked["kind"]): Asked[] {
    return this.requests.filter(
      (asked) =>
        asked.target.startsWith(`/v2/${name}/`) && (kind === undefined || asked.kind === kind),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
    await new Promise((resolve) => this.server.close(resolve));
  }

  private serve(socket: Socket): void {
    this.sockets.add(socket);
    socket.on("close", () => this.sockets.delete(socket));
    socket.on("error", () => socket.destroy());
    let text = "";
    socket.on("data", (bytes) => {
      text += bytes.toString("latin1");
      if (text[0] === "\x16") socket.destroy(); // it has no TLS
      const end = text.indexOf("\r\n\r\n");
      if (end === -1) return;
      const head = text.slice(0, end);
      text = "";
      this.reply(socket, head).catch(() => socket.destroy());
    });
  }

  private async reply(socket: Socket, head: string): Promise<void> {
    const [first = "", ...lines] = head.split("\r\n");
    const [method = "", target = ""] = first.split(" ");
    const headers = Object.fromEntries(
      lines.map((line) => {
        const [name = "", value = ""] = line.split(/: *(.*)/);
        return [name.toLowerCase(), value];
      }),
    );
    const [, name = "", sort] = /^\/v2\/([^/?]+)\/(manifests|blobs)\//.exec(target) ?? [];
    const kind = sort === "manifests" ? "manifest" : sort === "blobs" ? "blob" : "other";
    const before = this.requests.filter((other) => other.target === target).length;
    const asked = { method, target, kind, headers, before, at: performance.now() } as const;
    this.requests.push(asked);
    const route = this.routes.get(target.replace(/\?.*$/, ""));
    if (route !== undefined) return await send(socket, route);
    const known = this.images.get(name);
    const usual = this.usual(asked, known?.image);
    const whole = this.usual({ ...asked, headers: {} }, known?.image);
    await send(socket, known?.fault?.(asked, usual, whole) ?? usual);
  }

  private usual({ target, kind, headers }: Asked, image: TestImage | undefined): Answer {
    if (target === "/v2/") return answer(200, {}, "{}");
    if (image === undefined || kind === "other") return answer(404, {}, "{}");
    if (kind === "manifest") {
      const digest = sha256(image.manifest);
      return answer(
        200,
        { "Content-Type": image.type, "Docker-Content-Digest": digest },
        image.manifest,
      );
    }
    const blob = image.blobs.get(target.slice(target.lastIndexOf("/") + 1));
    if (blob === undefined) return answer(404, {}, "{}");
    const [, from, to] = /^bytes=(\d+)-(\d*)$/.exec(headers["range"] ?? "") ?? [];
    if (from === undefined) return answer(200, {}, blob);
    const end = to === undefined || to === "" ? blob.length : Number(to) + 1;
    const range = `bytes ${from}-${end - 1}/${blob.length}`;
    return answer(206, { "Content-Range": range }, blob.subarray(Number(from), end));
  }
}

async function send(socket: Socket, what: Answer): Promise<void> {
  const { status, headers, body, cut, pace, endless, hold } = what;
  const length =
    endless === true || "Content-Length" in headers ? {} : { "Content-Length": body.length };
  const lines = Object.entries({ ...length, ...headers, Connection: "close" });
  socket.write(
    `HTTP/1.1 ${status} X\r\n${lines.map(([name, value]) => `${name}: ${value}\r\n`).join("")}\r\n`,
  );
  if (hold !== undefined) {
    await write(socket, body.subarray(0, hold.after));
    await hold.until;
    if (cut === undefined) await write(socket, body.subarray(hold.after));
    socket.end();
    return;
  }
  if (cut !== undefined) {
    await write(socket, body.subarray(0, cut));
    socket.end();
    return;
  }
  if (pace !== undefined) {
    for (const byte of body) {
      if (socket.destroyed) return;
      await write(socket, Uint8Array.of(byte));
      await Bun.sleep(pace);
    }
  }
  do await write(socket, body);
  while (endless === true && !socket.destroyed);
  socket.end();
}

const write = (socket: Socket, bytes: Uint8Array): Promise<void> =>
  new Promise((resolve, reject) => {
    socket.write(bytes, (error) => (error ? reject(error) : resolve()));
  });
