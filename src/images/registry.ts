/** A registry, by the OCI distribution specification and Docker's before it ("HTTP API V2"). */
import { MydockerError } from "../errors.ts";
import { decodeBytes } from "../ffi/bytes.ts";
import type { Credentials } from "./credentials.ts";
import {
  basicAuthorization,
  type Challenge,
  parseChallenges,
  readToken,
  tokenRequest,
} from "./registry_auth.ts";
import {
  ConnectionError,
  discard,
  type HttpOptions,
  type HttpRequest,
  patience,
  readSmall,
  request,
  sendOnce,
} from "./registry_request.ts";
import { isLocal, tlsOptions } from "./registry_tls.ts";

/** How a registry is spoken to. */
export interface RegistryOptions {
  /** false: believe any certificate, and do without TLS if there is none. */
  readonly tlsVerify?: boolean;
  /** Who we are there; asked for once, when the registry wants to know. */
  readonly credentials?: (domain: string) => Promise<Credentials | undefined>;
  readonly onRetry?: (why: string) => void;
  /** Ask token services for an identity token, too: for a login. */
  readonly login?: boolean;
}

/** What a registry says no to. */
export class RegistryError extends MydockerError {
  override readonly name: string = "RegistryError";

  constructor(
    message: string,
    readonly status: number,
    options: { hint?: string } = {},
  ) {
    super(message, options);
  }
}

/** It wants to know who we are, or does not like it. */
export class UnauthorizedError extends RegistryError {
  override readonly name = "UnauthorizedError";
}

/** Bytes of an error's text, or of a token, that are read. */
const ANSWER_LIMIT = 2 ** 20;

/** A request, by its path at the registry or, where that sends us elsewhere, by its address. */
export interface RegistryRequest extends Omit<HttpRequest, "url"> {
  readonly path: string;
  /** What it needs leave for: `repository:library/busybox:pull`. */
  readonly scopes?: readonly string[];
}

/** One registry, for as long as a command takes. */
export class Registry {
  private readonly options: HttpOptions;
  private base: Promise<string> | undefined;
  private known: Promise<Credentials | undefined> | undefined;
  private challenge: Challenge | undefined;
  private readonly tokens = new Map<string, Promise<string>>();
  private readonly host: string;
  private readonly insecure: boolean;
  /** What a token service gave us instead of the password, if it was asked, and does. */
  identityToken: string | undefined;

  /** @param domain as in a reference: `docker.io`, `localhost:5000` */
  constructor(
    readonly domain: string,
    private readonly how: RegistryOptions = {},
  ) {
    this.host = domain === "docker.io" ? "registry-1.docker.io" : domain;
    this.insecure = isLocal(domain) || how.tlsVerify === false;
    this.options = {
      tls: tlsOptions(domain, !this.insecure),
      registry: domain,
      patience: patience(),
      ...(how.onRetry === undefined ? {} : { onRetry: how.onRetry }),
    };
  }

  /** For reading what it answers. */
  get reading(): Pick<HttpOptions, "registry" | "patience"> {
    return this.options;
  }

  /**
   * Sends a request, with what says who we are if the registry wants that.
   * @returns the answer, whatever its status but 401
   * @throws {UnauthorizedError} @throws {ConnectionError} @throws {MydockerError}
   */
  async send(asked: RegistryRequest): Promise<Response> {
    this.base ??= this.findBase();
    const base = await this.base;
    const { path, scopes = [], ...rest } = asked;
    const url = new URL(path, base).href;
    if (base.startsWith("https:") && !url.startsWith("https:"))
      throw new MydockerError(
        `the registry ${this.domain} sends us to ${new URL(url).origin}, which is not reached by TLS`,
      );
    // An upload's address may be anywhere: who we are is said to the registry alone.
    const isOurs = new URL(url).origin === new URL(base).origin;
    for (let attempt = 1; ; attempt++) {
      const authorization = isOurs ? await this.authorization(scopes, attempt > 1) : undefined;
      const response = await request(
        {
          ...rest,
          url,
          headers: {
            ...rest.headers,
            ...(authorization === undefined ? {} : { Authorization: authorization }),
          },
        },
        this.options,
      );
      if (response.status !== 401) return response;
      const challenges = parseChallenges(response.headers.get("www-authenticate") ?? "");
      const error = await this.errorOf(response);
      const challenge =
        challenges.find(({ scheme }) => scheme === "bearer") ??
        challenges.find(({ scheme }) => scheme === "basic");
      // Once without, once with a token, and once more with a fresh one: then no means no.
      if (challenge === undefined || attempt === 3 || !isOurs)
        throw new UnauthorizedError(error.message, 401);
      const first = this.challenge === undefined;
      this.challenge = challenge;
      if (challenge.scheme === "basic" && ((await this.credentials()) === undefined || !first)) {
        const none = (await this.credentials()) === undefined;
        throw new UnauthorizedError(none ? "no basic auth credentials" : error.message, 401);
      }
    }
  }

  /** {@link send}, with an error for what is not one of `statuses`. */
  async expect(asked: RegistryRequest, statuses: readonly number[]): Promise<Response> {
    const response = await this.send(asked);
    if (statuses.includes(response.status)) return response;
    throw await this.errorOf(response);
  }

  /** The words of an answer that says no (distribution spec, "Error Codes"). */
  async errorOf(response: Response): Promise<RegistryError> {
    const { status } = response;
    let text = "";
    try {
      text = decodeBytes(await readSmall(response, ANSWER_LIMIT, "the answer", this.options));
    } catch {
      // Its status is all that is known.
    }
    const words =
      errorWords(text) ?? (status === 401 ? "unauthorized: authentication required" : undefined);
    return new RegistryError(
      words ?? `the registry ${this.domain} answers with status ${status}`,
      status,
    );
  }

  /** Whether the registry lets us in with these credentials. @throws {UnauthorizedError} */
  async ping(): Promise<void> {
    await discard(await this.expect({ path: "/v2/" }, [200]));
  }

  private credentials(): Promise<Credentials | undefined> {
    this.known ??= this.how.credentials?.(this.domain) ?? Promise.resolve(undefined);
    return this.known;
  }

  private async authorization(
    scopes: readonly string[],
    fresh: boolean,
  ): Promise<string | undefined> {
    const { challenge } = this;
    if (challenge === undefined) return undefined;
    const credentials = await this.credentials();
    if (challenge.scheme === "basic")
      return credentials === undefined ? undefined : basicAuthorization(credentials);
    const wanted = [...new Set(scopes)].sort();
    const key = wanted.join(" ");
    const kept = fresh ? undefined : this.tokens.get(key);
    const token = kept ?? this.fetchToken(challenge, wanted, credentials);
    this.tokens.set(key, token);
    return `Bearer ${await token}`;
  }

  private async fetchToken(
    challenge: Challenge,
    scopes: readonly string[],
    credentials: Credentials | undefined,
  ): Promise<string> {
    const plain = (await this.base)?.startsWith("http:") === true;
    const asked = tokenRequest(challenge, scopes, credentials, {
      registry: this.domain,
      plain,
      login: this.how.login === true,
    });
    const response = await request(asked, this.options);
    if (response.status !== 200) {
      const error = await this.errorOf(response);
      if (response.status === 401 || response.status === 403)
        throw new UnauthorizedError(error.message, response.status);
      throw error;
    }
    const bytes = await readSmall(response, ANSWER_LIMIT, "the token", this.options);
    const { token, identityToken } = readToken(decodeBytes(bytes), this.domain);
    if (this.how.login === true) this.identityToken = identityToken;
    return token;
  }

  /** Without TLS only where there is none, and only where that is allowed; TLS is tried first, as Docker does. */
  private async findBase(): Promise<string> {
    const secure = `https://${this.host}`;
    if (!this.insecure) return secure;
    const once = { ...this.options, patience: Math.min(this.options.patience, 5000) };
    for (const [base, last] of [
      [secure, false],
      [`http://${this.host}`, true],
    ] as const) {
      try {
        const response = await sendOnce({ url: `${base}/v2/` }, once);
        const challenges = parseChallenges(response.headers.get("www-authenticate") ?? "");
        await discard(response);
        this.challenge ??=
          response.status === 401
            ? (challenges.find(({ scheme }) => scheme === "bearer") ??
              challenges.find(({ scheme }) => scheme === "basic"))
            : undefined;
        return base;
      } catch (error) {
        if (last || !(error instanceof ConnectionError)) throw error;
      }
    }
    return secure;
  }
}

/** `manifest unknown: manifest unknown`: the code's words and the message, as Docker shows them. */
function errorWords(text: string): string | undefined {
  try {
    const { errors, details } = JSON.parse(text);
    const lines = (Array.isArray(errors) ? errors : []).map(({ code, message }) => {
      const name = String(code).toLowerCase().replaceAll("_", " ");
      return `${WORDS[String(code)] ?? name}: ${message ?? name}`;
    });
    if (lines.length > 0) return lines.join("; ").slice(0, 1000);
    return typeof details === "string" ? details.slice(0, 1000) : undefined;
  } catch {
    return undefined;
  }
}

/** Codes that Docker shows otherwise than in lower case (distribution, api/errcode). */
const WORDS: Readonly<Record<string, string>> = {
  NAME_UNKNOWN: "name unknown",
  MANIFEST_UNKNOWN: "manifest unknown",
  BLOB_UNKNOWN: "blob unknown",
  UNAUTHORIZED: "unauthorized",
  DENIED: "denied",
  TOOMANYREQUESTS: "toomanyrequests",
};
