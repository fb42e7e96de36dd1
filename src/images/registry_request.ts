/**
 * One request to a registry or to where it sends us, by Bun's fetch: redirects, tries, time-outs
 * and limits are ours (docs/decisions/registry-client.md).
 */
import { MydockerError } from "../errors.ts";
import type { TlsOptions } from "./registry_tls.ts";

/** What is asked. */
export interface HttpRequest {
  readonly url: string;
  readonly method?: "GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE";
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array<ArrayBuffer> | StreamedBody;
  /** Not again when it got no answer: only who asks knows from where to go on. */
  readonly once?: boolean;
}

/** A body that is read while it is sent; made anew for each try. */
export interface StreamedBody {
  readonly stream: () => ReadableStream<Uint8Array>;
  /** When the last of it was read, in milliseconds of `performance.now`. */
  readonly lastRead: () => number;
}

/** How it is asked. */
export interface HttpOptions {
  readonly tls: TlsOptions;
  /** The registry as the user named it, for messages. */
  readonly registry: string;
  /** Milliseconds without an answer, or without enough of one, after which it counts as stalled. */
  readonly patience: number;
  /** Tells why the next try waits. */
  readonly onRetry?: (why: string) => void;
}

/** A request that got no answer, or none that can be used; another try may. */
export class ConnectionError extends MydockerError {
  override readonly name = "ConnectionError";

  /** @param final nobody is there: another try is in vain */
  constructor(
    message: string,
    options: { cause?: unknown; hint?: string } = {},
    readonly final = false,
  ) {
    super(message, options);
  }
}

const REDIRECTS = new Set([301, 302, 303, 307, 308]);
const REDIRECT_LIMIT = 10;
/** Answers that another try may change: too many requests, and the server's own trouble. */
const TRANSIENT = new Set([408, 429, 500, 502, 503, 504]);
/** Tries of one request. */
export const ATTEMPTS = 5;
/** Milliseconds before the second try; doubled with each. */
const FIRST_WAIT = 250;
/** Seconds that a registry may ask us to wait. */
const RETRY_AFTER_LIMIT = 120;
/** An answer that brings less than this in the time of our patience is as good as none. */
const LEAST_PROGRESS = 1024;

/** The usual patience, in milliseconds; MYDOCKER_REGISTRY_TIMEOUT says other seconds. */
export function patience(): number {
  const given = Number(process.env["MYDOCKER_REGISTRY_TIMEOUT"]);
  return Number.isFinite(given) && given > 0 ? given * 1000 : 30_000;
}

/**
 * Sends a request, again where that may help, and follows redirects.
 * @returns the answer, its body unread, whatever its status but the transient ones
 * @throws {ConnectionError} @throws {MydockerError}
 */
export async function request(asked: HttpRequest, options: HttpOptions): Promise<Response> {
  for (let attempt = 1; ; attempt++) {
    try {
      const response = await follow(asked, options);
      if (!TRANSIENT.has(response.status) || asked.once === true) return response;
      const wait = retryAfter(response.headers.get("retry-after"), Date.now());
      const why = `${response.status} ${STATUS[response.status] ?? ""}`.trim();
      if (wait !== undefined && wait > RETRY_AFTER_LIMIT * 1000)
        throw new MydockerError(
          `the registry ${options.registry} answers ${why}: try again in ${Math.ceil(wait / 1000)} seconds`,
        );
      if (attempt === ATTEMPTS) {
        await discard(response);
        throw new MydockerError(
          response.status === 429
            ? `toomanyrequests: the registry ${options.registry} answers ${why}, even after ${ATTEMPTS} tries`
            : `the registry ${options.registry} answers ${why}, even after ${ATTEMPTS} tries`,
        );
      }
      await discard(response);
      options.onRetry?.(why);
      await Bun.sleep(wait ?? backOff(attempt));
    } catch (error) {
      const isLast = asked.once === true || attempt === ATTEMPTS;
      if (!(error instanceof ConnectionError) || error.final || isLast) throw error;
      options.onRetry?.(error.message);
      await Bun.sleep(backOff(attempt));
    }
  }
}

const STATUS: Readonly<Record<number, string>> = {
  408: "Request Timeout",
  429: "Too Many Requests",
  500: "Internal Server Error",
  502: "Bad Gateway",
  503: "Service Unavailable",
  504: "Gateway Timeout",
};

/** Milliseconds before the next try. */
export const backOff = (attempt: number): number => FIRST_WAIT * 2 ** (attempt - 1);

/** Milliseconds that a Retry-After header asks for: seconds or a date (RFC 9110, 10.2.3). */
export function retryAfter(header: string | null, now: number): number | undefined {
  if (header === null || header === "") return undefined;
  if (/^\d+$/.test(header)) return Number(header) * 1000;
  const date = Date.parse(header);
  return Number.isNaN(date) ? undefined : Math.max(0, date - now);
}

/** {@link request} without another try: whether anybody answers. */
export const sendOnce = (asked: HttpRequest, options: HttpOptions): Promise<Response> =>
  follow(asked, options);

async function follow(asked: HttpRequest, options: HttpOptions): Promise<Response> {
  let current = asked;
  for (let redirects = 0; ; redirects++) {
    const response = await send(current, options);
    const location = response.headers.get("location");
    if (!REDIRECTS.has(response.status) || location === null) return response;
    await discard(response);
    if (redirects === REDIRECT_LIMIT)
      throw new MydockerError(
        `the registry ${options.registry} redirects more than ${REDIRECT_LIMIT} times`,
      );
    current = redirected(current, location, options.registry);
  }
}

/**
 * The request that a redirect asks for. What says who we are stays with the host that it was meant
 * for (CVE-2020-15157), and nothing that began with TLS goes on without.
 */
export function redirected(from: HttpRequest, location: string, registry: string): HttpRequest {
  if (!URL.canParse(location, from.url))
    throw new MydockerError(`the registry ${registry} redirects to what is no address`);
  const [old, url] = [new URL(from.url), new URL(location, from.url)];
  if (url.protocol !== "https:" && url.protocol !== old.protocol)
    throw new MydockerError(
      `the registry ${registry} redirects to ${url.origin}, which is not reached by TLS`,
    );
  url.username = "";
  url.password = "";
  url.hash = "";
  const headers = { ...from.headers };
  if (url.origin !== old.origin)
    for (const name of Object.keys(headers))
      if (/^(authorization|cookie)$/i.test(name)) delete headers[name];
  return { ...from, url: url.href, headers };
}

async function send(asked: HttpRequest, options: HttpOptions): Promise<Response> {
  const controller = new AbortController();
  const { host } = new URL(asked.url);
  const { body } = asked;
  const streamed = typeof body === "object" && "stream" in body ? body : undefined;
  const timer = patienceTimer(streamed, options.patience, () => controller.abort());
  try {
    return await fetch(asked.url, {
      method: asked.method ?? "GET",
      headers: { "User-Agent": "mydocker", ...asked.headers },
      redirect: "manual",
      // A blob is what its digest says, also where a server would compress it once more.
      decompress: false,
      signal: controller.signal,
      tls: options.tls,
      timeout: false,
      ...(body === undefined ? {} : { body: streamed === undefined ? body : streamed.stream() }),
    } as RequestInit);
  } catch (cause) {
    if (controller.signal.aborted)
      throw new ConnectionError(
        `no answer from ${host} within ${options.patience / 1000} seconds`,
        { cause },
      );
    throw connectionError(host, cause);
  } finally {
    clearInterval(timer);
  }
}

/** Calls `give` when there was no answer for so long since the request, or since the last of its body was read. */
function patienceTimer(body: StreamedBody | undefined, patience: number, give: () => void): Timer {
  const began = performance.now();
  return setInterval(
    () => {
      const last = Math.max(began, body?.lastRead() ?? 0);
      if (performance.now() - last >= patience) give();
    },
    Math.min(patience, 1000),
  );
}

/** Bun's code of an error, as people say it. */
const CODES: Readonly<Record<string, string>> = {
  ConnectionRefused: "connection refused",
  ConnectionClosed: "the connection was closed",
  ECONNRESET: "the connection was closed",
  ECONNREFUSED: "connection refused",
  FailedToOpenSocket: "cannot connect, or no such host",
  DNSResolveFailed: "no such host",
  ENOTFOUND: "no such host",
  SELF_SIGNED_CERT_IN_CHAIN: "its certificate is signed by an unknown authority",
  DEPTH_ZERO_SELF_SIGNED_CERT: "its certificate is signed by an unknown authority",
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: "its certificate is signed by an unknown authority",
  UNABLE_TO_GET_ISSUER_CERT: "its certificate is signed by an unknown authority",
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: "its certificate is signed by an unknown authority",
  EPROTO: "the TLS handshake failed",
  CERT_HAS_EXPIRED: "its certificate has expired",
  CERT_NOT_YET_VALID: "its certificate is not valid yet",
  ERR_TLS_CERT_ALTNAME_INVALID: "its certificate is for another host",
};

function connectionError(host: string, cause: unknown): MydockerError {
  const code =
    typeof cause === "object" && cause !== null && "code" in cause ? String(cause.code) : "";
  const known = CODES[code];
  const why = known ?? (cause instanceof Error ? cause.message : String(cause));
  const message = `cannot talk to ${host}: ${why}`;
  // A certificate is not better the next time.
  if (known?.includes("certificate"))
    return new MydockerError(message, {
      cause,
      hint: `put its authority into /etc/docker/certs.d/${host}/ca.crt, or use --tls-verify=false`,
    });
  if (code === "EPROTO") {
    const hint = `if it wants to know who we are, put a certificate and its key into /etc/docker/certs.d/${host}/client.cert and client.key; if it does not speak TLS, use --tls-verify=false`;
    return new ConnectionError(message, { cause, hint }, true);
  }
  return new ConnectionError(message, { cause }, known !== undefined && !/closed/.test(known));
}

/** Lets go of an answer that nobody wants. */
export async function discard(response: Response): Promise<void> {
  await response.body?.cancel().catch(() => {});
}

/**
 * The chunks of an answer. Ends with an error when it is cut off or stalls.
 * @throws {ConnectionError}
 */
export async function* chunks(
  response: Response,
  options: Pick<HttpOptions, "registry" | "patience">,
): AsyncGenerator<Uint8Array> {
  if (response.body === null) return;
  const reader = response.body.getReader();
  let progress = 0;
  let stalled: (error: Error) => void = () => {};
  const timer = setInterval(() => {
    if (progress < LEAST_PROGRESS)
      stalled(
        new ConnectionError(
          `the registry ${options.registry} stalls: ${progress} bytes in ${options.patience / 1000} seconds`,
        ),
      );
    progress = 0;
  }, options.patience);
  try {
    for (;;) {
      // Not Promise.race with one promise for all: that keeps every chunk until it is settled.
      const next = await new Promise<Awaited<ReturnType<typeof reader.read>>>((resolve, reject) => {
        stalled = reject;
        reader.read().then(resolve, reject);
      });
      if (next.done) return;
      progress += next.value.length;
      yield next.value;
    }
  } catch (cause) {
    if (cause instanceof MydockerError) throw cause;
    throw new ConnectionError(`the connection to the registry ${options.registry} broke`, {
      cause,
    });
  } finally {
    clearInterval(timer);
    await reader.cancel().catch(() => {});
  }
}

/**
 * The whole of a small answer.
 * @throws {MydockerError} when it is larger than `limit` bytes
 */
export async function readSmall(
  response: Response,
  limit: number,
  what: string,
  options: Pick<HttpOptions, "registry" | "patience">,
): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of chunks(response, options)) {
    length += chunk.length;
    if (length > limit)
      throw new MydockerError(
        `${what} is larger than ${limit >> 20} MiB: it is not read any further`,
      );
    parts.push(chunk);
  }
  const declared = response.headers.get("content-length");
  if (declared !== null && Number(declared) > length)
    throw new ConnectionError(`the connection to the registry ${options.registry} broke`);
  return Buffer.concat(parts);
}
