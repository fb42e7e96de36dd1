/** `search`: what Docker Hub, or a registry with the same API ("v1/search"), has by a word. */
import { MydockerError } from "../errors.ts";
import { decodeBytes } from "../ffi/bytes.ts";
import { findCredentials } from "./credentials.ts";
import { basicAuthorization } from "./registry_auth.ts";
import { ConnectionError, patience, readSmall, request } from "./registry_request.ts";
import { isLocal, tlsOptions } from "./registry_tls.ts";

/** A repository that was found. */
export interface Found {
  readonly name: string;
  readonly description: string;
  readonly stars: number;
  readonly official: boolean;
  readonly automated: boolean;
}

const LIMIT = 4 * 2 ** 20;

/**
 * Looks for repositories.
 * @param term a word; before its first slash there may be a registry's name
 * @param limit at most so many, 1 to 100
 * @throws {MydockerError}
 */
export async function searchImages(
  term: string,
  limit: number,
  tlsVerify: boolean,
): Promise<Found[]> {
  const { domain, words } = splitTerm(term);
  const host = domain === "docker.io" ? "index.docker.io" : domain;
  const insecure = isLocal(domain) || !tlsVerify;
  const options = { tls: tlsOptions(domain, !insecure), registry: domain, patience: patience() };
  const credentials = await findCredentials(domain);
  const query = `/v1/search?q=${encodeURIComponent(words)}&n=${limit}`;
  const headers =
    credentials === undefined || credentials.identityToken !== undefined
      ? {}
      : { Authorization: basicAuthorization(credentials) };
  const ask = (scheme: string) =>
    request({ url: `${scheme}://${host}${query}`, headers, once: insecure }, options);
  let response: Response;
  try {
    response = await ask("https");
  } catch (error) {
    // Without TLS only where that is allowed, and there is none.
    if (!insecure || !(error instanceof ConnectionError)) throw error;
    response = await ask("http");
  }
  if (response.status !== 200)
    throw new MydockerError(
      `the registry ${domain} cannot be searched: it answers with status ${response.status}`,
    );
  return readResults(await readSmall(response, LIMIT, "the answer", options), domain);
}

/** Docker's splitReposSearchTerm. */
function splitTerm(term: string): { domain: string; words: string } {
  if (term.includes("://"))
    throw new MydockerError("invalid repository name: it has a scheme, as an address has");
  const slash = term.indexOf("/");
  const first = term.slice(0, slash);
  const isDomain = slash !== -1 && (/[.:]/.test(first) || first === "localhost");
  if (!isDomain) return { domain: "docker.io", words: term.replace(/^library\//, "") };
  const words = term.slice(slash + 1);
  return first === "docker.io" || first === "index.docker.io"
    ? { domain: "docker.io", words: words.replace(/^library\//, "") }
    : { domain: first, words };
}

function readResults(bytes: Uint8Array, domain: string): Found[] {
  let results: unknown;
  try {
    ({ results } = JSON.parse(decodeBytes(bytes)));
  } catch (cause) {
    throw new MydockerError(`the registry ${domain} answers with what is not JSON`, { cause });
  }
  if (!Array.isArray(results))
    throw new MydockerError(`the registry ${domain} answers without results`);
  return results.map((entry) => ({
    name: String(entry?.name ?? ""),
    description: String(entry?.description ?? ""),
    stars: Number(entry?.star_count) || 0,
    official: entry?.is_official === true,
    automated: entry?.is_automated === true,
  }));
}
