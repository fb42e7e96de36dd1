/** What a registry wants to see: its challenge, and a token or a password for it (distribution's "token" specification, RFC 9110). */
import { MydockerError } from "../errors.ts";
import { encodeBytes } from "../ffi/bytes.ts";
import type { Credentials } from "./credentials.ts";

/** One challenge of a WWW-Authenticate header. */
export interface Challenge {
  /** In lower case: `bearer`, `basic`. */
  readonly scheme: string;
  readonly parameters: Readonly<Record<string, string>>;
}

/** Reads a WWW-Authenticate header, which may hold several challenges. */
export function parseChallenges(header: string): Challenge[] {
  const challenges: { scheme: string; parameters: Record<string, string> }[] = [];
  // A scheme is a word that no "=" follows; parameters follow it, separated by commas.
  const token = "[!#$%&'*+.^_`|~0-9A-Za-z-]+";
  const pattern = new RegExp(
    `\\s*,?\\s*(?:(${token})\\s*=\\s*(?:"((?:[^"\\\\]|\\\\.)*)"|(${token}))|(${token})(?=\\s|$|,))`,
    "y",
  );
  for (let match = pattern.exec(header); match !== null; match = pattern.exec(header)) {
    const [, name, quoted, plain, scheme] = match;
    if (scheme !== undefined) challenges.push({ scheme: scheme.toLowerCase(), parameters: {} });
    else if (name !== undefined) {
      const value = quoted?.replace(/\\(.)/g, "$1") ?? plain ?? "";
      const last = challenges.at(-1);
      if (last !== undefined) last.parameters[name.toLowerCase()] = value;
    }
  }
  return challenges;
}

/** `Basic …` of a user and a password. */
export function basicAuthorization({ username, password }: Credentials): string {
  return `Basic ${Buffer.from(encodeBytes(`${username}:${password}`)).toString("base64")}`;
}

/** The request for a token. */
export interface TokenRequest {
  readonly url: string;
  readonly method: "GET" | "POST";
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
}

/** For whom a token is asked. */
export interface TokenContext {
  readonly registry: string;
  /** The registry itself is reached without TLS, so that its token service may be. */
  readonly plain: boolean;
  /** An identity token is wanted, too. */
  readonly login: boolean;
}

/**
 * How to ask a token service.
 * @throws {MydockerError} for a service that is none, or that our password would reach in the clear
 */
export function tokenRequest(
  { parameters }: Challenge,
  scopes: readonly string[],
  credentials: Credentials | undefined,
  { registry, plain, login }: TokenContext,
): TokenRequest {
  const { realm, service } = parameters;
  if (realm === undefined || !URL.canParse(realm))
    throw new MydockerError(`the registry ${registry} wants a token, but names no service for it`);
  const url = new URL(realm);
  if (url.protocol !== "https:" && !(plain && url.protocol === "http:"))
    throw new MydockerError(
      `the registry ${registry} wants a token from ${url.origin}, which is not reached by TLS`,
    );
  url.username = "";
  url.password = "";
  if (credentials?.identityToken !== undefined) {
    const body = new URLSearchParams({
      grant_type: "refresh_token",
      refresh_token: credentials.identityToken,
      client_id: "mydocker",
      ...(service === undefined ? {} : { service }),
      ...(scopes.length === 0 ? {} : { scope: scopes.join(" ") }),
    });
    return {
      url: url.href,
      method: "POST",
      headers: { "Content-Type": "application/x-www-form-urlencoded" },
      body: body.toString(),
    };
  }
  if (service !== undefined) url.searchParams.set("service", service);
  for (const scope of scopes) url.searchParams.append("scope", scope);
  if (credentials === undefined) return { url: url.href, method: "GET", headers: {} };
  url.searchParams.set("account", credentials.username);
  if (login) {
    url.searchParams.set("client_id", "mydocker");
    url.searchParams.set("offline_token", "true");
  }
  return {
    url: url.href,
    method: "GET",
    headers: { Authorization: basicAuthorization(credentials) },
  };
}

/** What a token service gave. */
export interface Token {
  readonly token: string;
  /** Stands for user and password from now on. */
  readonly identityToken?: string;
}

const isToken = (value: unknown): value is string =>
  typeof value === "string" && /^[\x21-\x7e]+$/.test(value);

/** The token in a service's answer. @throws {MydockerError} */
export function readToken(text: string, registry: string): Token {
  try {
    const { token, access_token: accessToken, refresh_token: refreshToken } = JSON.parse(text);
    const found = token || accessToken;
    if (isToken(found))
      return { token: found, ...(isToken(refreshToken) ? { identityToken: refreshToken } : {}) };
  } catch {
    // Said below.
  }
  throw new MydockerError(`the token service of ${registry} gave no token`);
}
