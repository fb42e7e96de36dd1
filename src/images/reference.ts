/**
 * Image references as Docker reads them: the grammar, the defaults and the errors' words of
 * github.com/distribution/reference.
 */
import { MydockerError } from "../errors.ts";

/** A reference with its defaults for domain and `library/` filled in. */
export interface Reference {
  /** e.g. `docker.io`, `localhost:5000` */
  readonly domain: string;
  /** The repository at the registry, e.g. `library/busybox`. */
  readonly path: string;
  readonly tag?: string;
  /** e.g. `sha256:…` */
  readonly digest?: string;
}

/** Text that is no image reference. */
export class InvalidReferenceError extends MydockerError {
  override readonly name = "InvalidReferenceError";
}

const DEFAULT_DOMAIN = "docker.io";
const LEGACY_DOMAIN = "index.docker.io";
const OFFICIAL = "library/";
const DEFAULT_TAG = "latest";
/** Characters in `domain/path` (NameTotalLengthMax). */
const NAME_LIMIT = 255;

// regexp.go of distribution/reference, piece by piece.
const domainComponent = "(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])";
const host = `(?:${domainComponent}(?:\\.${domainComponent})*|\\[[a-fA-F0-9:]+\\])`;
const domainAndPort = `${host}(?::[0-9]+)?`;
const pathComponent = "[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*";
const remoteName = `${pathComponent}(?:/${pathComponent})*`;
const tagPattern = "[a-zA-Z0-9_][a-zA-Z0-9_.-]{0,127}";
const digestPattern = "[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}";
const REFERENCE = new RegExp(
  `^(${domainAndPort})/(${remoteName})(?::(${tagPattern}))?(?:@(${digestPattern}))?$`,
);
const IDENTIFIER = /^[a-f0-9]{64}$/;

/** Hex digits of the digest algorithms that are known (go-digest). */
const DIGEST_LENGTHS: Readonly<Record<string, number>> = { sha256: 64, sha384: 96, sha512: 128 };

/**
 * Reads a reference as a person types it (`ParseNormalizedNamed`). No tag is added: see
 * {@link withDefaultTag}.
 * @throws {InvalidReferenceError} in Docker's words
 */
export function parseReference(text: string): Reference {
  if (isOneWord(text)) return { domain: DEFAULT_DOMAIN, path: OFFICIAL + text };
  if (IDENTIFIER.test(text))
    throw new InvalidReferenceError(
      `invalid repository name (${text}), cannot specify 64-byte hexadecimal strings`,
    );
  const { domain, remainder } = splitDomain(text);
  const colon = remainder.indexOf(":");
  const remote = colon === -1 ? remainder : remainder.slice(0, colon);
  if (remote.toLowerCase() !== remote)
    throw new InvalidReferenceError(
      `invalid reference format: repository name (${remote}) must be lowercase`,
    );
  const whole = `${domain}/${remainder}`;
  const match = REFERENCE.exec(whole);
  if (match === null) {
    throw new InvalidReferenceError(
      REFERENCE.test(whole.toLowerCase())
        ? "repository name must be lowercase"
        : "invalid reference format",
    );
  }
  const [, matchedDomain = "", path = "", tag, digest] = match;
  if (matchedDomain.length + 1 + path.length > NAME_LIMIT)
    throw new InvalidReferenceError(
      `repository name must not be more than ${NAME_LIMIT} characters`,
    );
  if (digest !== undefined) checkDigest(digest);
  return {
    domain: matchedDomain,
    path,
    ...(tag === undefined ? {} : { tag }),
    ...(digest === undefined ? {} : { digest }),
  };
}

/** Most are: what the grammar takes 0.1 ms to say. No identifier, and no name that is too long. */
function isOneWord(text: string): boolean {
  if (text.length === 0 || text.length > 63) return false;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    const isDigit = code >= 0x30 && code <= 0x39;
    if (!isDigit && (code < 0x61 || code > 0x7a)) return false;
  }
  return true;
}

/** The first component is a domain if it could not be a repository's (splitDockerDomain). */
function splitDomain(text: string): { domain: string; remainder: string } {
  const slash = text.indexOf("/");
  if (slash === -1) return { domain: DEFAULT_DOMAIN, remainder: OFFICIAL + text };
  const first = text.slice(0, slash);
  const rest = text.slice(slash + 1);
  let domain = DEFAULT_DOMAIN;
  let remainder = text;
  if (first === LEGACY_DOMAIN) remainder = rest;
  else if (first === "localhost" || /[.:]/.test(first) || first.toLowerCase() !== first) {
    domain = first;
    remainder = rest;
  }
  if (domain === DEFAULT_DOMAIN && !remainder.includes("/")) remainder = OFFICIAL + remainder;
  return { domain, remainder };
}

/** Digest.Validate of opencontainers/go-digest. */
function checkDigest(digest: string): void {
  const colon = digest.indexOf(":");
  const length = DIGEST_LENGTHS[digest.slice(0, colon)];
  const hex = digest.slice(colon + 1);
  if (length === undefined) throw new InvalidReferenceError("unsupported digest algorithm");
  if (hex.length !== length) throw new InvalidReferenceError("invalid checksum digest length");
  if (!/^[a-f0-9]+$/.test(hex)) throw new InvalidReferenceError("invalid checksum digest format");
}

/** The reference with the tag `latest` if it has neither tag nor digest (TagNameOnly). */
export function withDefaultTag(reference: Reference): Reference {
  return reference.tag === undefined && reference.digest === undefined
    ? { ...reference, tag: DEFAULT_TAG }
    : reference;
}

/** `docker.io/library/busybox`: the repository with its registry. */
export function fullName({ domain, path }: Reference): string {
  return `${domain}/${path}`;
}

/** The repository as Docker shows it: without `docker.io/` and `library/` where they are implied. */
export function familiarName({ domain, path }: Reference): string {
  if (domain !== DEFAULT_DOMAIN) return `${domain}/${path}`;
  const official = /^library\/([^/]+)$/.exec(path);
  return official?.[1] ?? path;
}

/** The whole reference, nothing left out: `docker.io/library/busybox:latest`. The inverse of {@link parseReference}. */
export function formatReference(reference: Reference): string {
  return fullName(reference) + suffix(reference);
}

/** The whole reference as Docker shows it: `busybox:latest`, `busybox@sha256:…`. */
export function familiarReference(reference: Reference): string {
  return familiarName(reference) + suffix(reference);
}

function suffix({ tag, digest }: Reference): string {
  return (tag === undefined ? "" : `:${tag}`) + (digest === undefined ? "" : `@${digest}`);
}
